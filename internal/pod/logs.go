package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// LogOptions selects a part of a container's log. The zero value selects
// everything that the latest attempt has written so far.
type LogOptions struct {
	Follow     bool      // wait for more until the container ends
	Restarts   bool      // with Follow: go on with the next attempts, until the pod is over
	Tail       int       // only the last lines, if above 0
	Previous   bool      // the log of the attempt before the latest
	Since      time.Time // omit older lines
	Timestamps bool      // prefix each line with its time
}

// errNoPrevious is returned when a container was started only once.
var errNoPrevious = errors.New("there is no previous attempt")

// Logs writes a container's log. The log of a container that was not started is
// empty; with Follow, Logs waits for its start.
func (p *Pod) Logs(ctx context.Context, container string, o LogOptions, stdout, stderr io.Writer) error {
	ctr, err := p.Container(container)
	if err != nil {
		return err
	}
	r := logReader{podRuntime{e: p.e, rec: p.rec, l: newLayout(p.e.opts.Root, p.UID)}}
	number := uint32(ctr.Restarts)
	if o.Previous {
		if number == 0 {
			return fmt.Errorf("container %s of pod %s: %w", ctr.Name, p.Name, errNoPrevious)
		}
		number, o.Follow = number-1, false
	}
	for {
		if err := r.attemptLog(ctx, ctr.Name, number, o, stdout, stderr); err != nil {
			return err
		}
		if !o.Follow || !o.Restarts {
			return nil
		}
		next, err := r.waitNextAttempt(ctx, ctr.Name, number)
		if err != nil || next == number {
			return err
		}
		number, o.Tail = next, 0
	}
}

// A logReader reads the logs of one pod across restarts.
type logReader struct{ podRuntime }

// attemptLog writes the log of one attempt.
func (r *logReader) attemptLog(ctx context.Context, name string, number uint32, o LogOptions, stdout, stderr io.Writer) error {
	opts := cri.LogOptions{Tail: o.Tail, Since: o.Since}
	if o.Follow {
		ended := make(chan struct{})
		opts.Follow = ended
		inner, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		defer func() { cancel(); <-done }()
		go func() {
			defer close(done)
			defer close(ended)
			r.waitAttemptEnd(inner, name, number)
		}()
	}
	path := filepath.Join(r.l.Logs(), translate.LogPath(name, number))
	err := cri.ReadLog(ctx, path, opts, func(l cri.LogLine) error {
		w := stdout
		if l.Stream == "stderr" {
			w = stderr
		}
		return writeLine(w, l, o.Timestamps)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func writeLine(w io.Writer, l cri.LogLine, stamp bool) error {
	line := make([]byte, 0, len(l.Text)+40)
	if stamp && !l.Time.IsZero() {
		line = l.Time.AppendFormat(line, time.RFC3339Nano)
		line = append(line, ' ')
	}
	line = append(line, l.Text...)
	if !l.Partial {
		line = append(line, '\n')
	}
	_, err := w.Write(line)
	return err
}

// waitAttemptEnd waits until an attempt has ended or is not the latest.
func (r *logReader) waitAttemptEnd(ctx context.Context, name string, number uint32) {
	for {
		a, err := r.latestAttempt(ctx, name)
		switch {
		case err == nil && a.number == number:
			if _, err := r.waitExit(ctx, a.id); err == nil || ctx.Err() != nil {
				return
			}
		case err == nil && a.number > number:
			return
		case ctx.Err() != nil, err != nil && !errors.Is(err, errNotStarted) && !cri.IsUnavailable(err), r.l.isStopping():
			return
		}
		if clock.Sleep(ctx, pollMax) != nil {
			return
		}
	}
}

// waitNextAttempt waits for the attempt after number. It returns number if there
// will be no other attempt.
func (r *logReader) waitNextAttempt(ctx context.Context, name string, number uint32) (uint32, error) {
	spec, _ := r.rec.Spec.Container(name)
	for {
		if r.l.isStopping() {
			return number, nil
		}
		var all []Container
		err := retryUnavailable(ctx, func() (err error) {
			all, err = r.e.containers(ctx, r.rec)
			return err
		})
		if err != nil {
			return number, r.ignoreStopping(err)
		}
		for i := range all {
			ctr := &all[i]
			switch {
			case ctr.Name != name:
			case uint32(ctr.Restarts) > number:
				return uint32(ctr.Restarts), nil
			case ctr.State == Exited && !restarts(&r.rec.Spec, spec, ctr.ExitCode):
				return number, nil
			}
		}
		if err := clock.Sleep(ctx, pollMax); err != nil {
			return number, err
		}
	}
}

// ignoreStopping returns nil for an error that occurs because the pod is being
// stopped or removed.
func (r *logReader) ignoreStopping(err error) error {
	if errors.Is(r.stoppingError(err), errStopping) {
		return nil
	}
	return err
}

// LastLines returns the last n lines of the log of a container's latest attempt.
func (p *Pod) LastLines(container string, n int) []string {
	c, err := p.Container(container)
	if err != nil || c.LogPath == "" {
		return nil
	}
	return tail(c.LogPath, n)
}
