package observe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// writeEvery is the minimum time between two versions of a growing trace file.
const writeEvery = 300 * time.Millisecond

// fileName returns a container's name in a form that can be part of a file
// name.
func fileName(s string) string {
	ok := func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return r
		}
		return '_'
	}
	s = strings.Map(ok, s)
	return s[:min(len(s), 128)]
}

// An output keeps a trace file up to date while the tracer runs.
type output struct {
	name   string
	job    job
	tracer *tracer
	stop   chan struct{}
	done   chan struct{}
}

func newOutput(j job, t *tracer) (*output, error) {
	// Process numbers are reused; the time makes the name unique.
	name := fmt.Sprintf("%s-%s-%d-%x.json", j.Root, fileName(j.Container), os.Getpid(), time.Now().UnixNano())
	o := &output{name: filepath.Join(j.Dir, name), job: j, tracer: t, stop: make(chan struct{}), done: make(chan struct{})}
	// This first version of the file shows that a tracer is running.
	return o, o.write(false)
}

func (o *output) write(final bool) error {
	accesses, weak := o.tracer.snapshot()
	t := trace.Trace{Container: o.job.Container, Root: o.job.Root, Complete: final, Weak: weak, Accesses: accesses}
	if err := save(o.name, t, final); err != nil {
		return fmt.Errorf("write trace: %w", err)
	}
	return nil
}

func (o *output) discard() { os.Remove(o.name) }

// start writes the file whenever something new was recorded, but spends at most
// a twentieth of the time on it.
func (o *output) start() {
	go func() {
		defer close(o.done)
		for {
			select {
			case <-o.stop:
				return
			case <-o.tracer.changed:
			}
			began := time.Now()
			if err := o.write(false); err != nil {
				o.tracer.note(err.Error())
			}
			select {
			case <-o.stop:
				return
			case <-time.After(max(writeEvery, 20*time.Since(began))):
			}
		}
	}()
}

// finish writes the final trace. It is complete unless the loop failed.
func (o *output) finish(loopErr error) error {
	close(o.stop)
	<-o.done
	if loopErr != nil {
		o.tracer.note(loopErr.Error())
		return errors.Join(loopErr, o.write(false))
	}
	if err := o.write(true); err != nil {
		return err
	}
	if o.job.Root == "init" {
		return nil
	}
	return gather(o.name, filepath.Join(o.job.Dir, o.job.Root+"-"+fileName(o.job.Container)+".json"))
}

// gather folds the complete trace of a command into the common trace of all
// commands that ended in the container, because a probe every few seconds would
// fill the directory.
func gather(name, sum string) error {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	// Several commands may end at the same time.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	one, err := loadFile(name)
	if err != nil {
		return err
	}
	all := one
	if before, err := loadFile(sum); err == nil {
		merged := Merge([]trace.Trace{before, one})
		if len(merged) != 1 {
			return nil // the sum of another container whose name looks the same
		}
		all = merged[0]
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := save(sum, all, true); err != nil {
		return err
	}
	// The sum is saved first: a reader in between counts the trace twice, and
	// in the other order it would miss the trace.
	return os.Remove(name)
}
