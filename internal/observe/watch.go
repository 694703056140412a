package observe

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// writeEvery is the least time between two versions of a growing trace file.
const writeEvery = 300 * time.Millisecond

// traceMain is the process that traces one runc and all that comes of it. It
// outlives runc and ends with the last traced process.
func traceMain(arg string) int {
	runtime.LockOSThread()
	var j job
	if err := json.Unmarshal([]byte(arg), &j); err != nil {
		fmt.Fprintln(os.Stderr, "adamant: read job:", err)
		return 1
	}
	unix.CloseOnExec(j.Control)
	unix.SetNonblock(j.Control, true) // so that closing ends a read under way
	control := os.NewFile(uintptr(j.Control), "control")
	if err := j.trace(control); err != nil {
		report(control, 1, err.Error())
		return 1
	}
	return 0
}

// report tells the waiting wrapper runc's exit status, and an error if any.
func report(control *os.File, status uint32, text string) {
	data := binary.LittleEndian.AppendUint32(nil, status)
	control.Write(append(data, text...))
	control.Close()
}

func (j job) trace(control *os.File) error {
	t := newTracer()
	defer t.close()
	var err error
	if t.inside, err = elsewhere(); err != nil {
		return err
	}
	t.starts = j.starts(t.inside)
	out, err := newOutput(j, t)
	if err != nil {
		return err
	}
	pid, err := j.startRunc()
	if err != nil {
		out.discard()
		return err
	}
	t.first = pid
	if err := j.letGo(control); err != nil {
		out.discard()
		return err // our death kills runc
	}
	runc, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	go killWith(control, runc)
	t.ended = func(s syscall.WaitStatus) { report(control, uint32(exitCode(s)), "") }
	out.start()
	err = t.loop()
	return out.finish(err)
}

// killWith kills runc if its caller goes away first.
func killWith(control *os.File, runc int) {
	var b [1]byte
	if n, _ := control.Read(b[:]); n == 0 {
		// Harmless once runc has ended: the descriptor then names nobody.
		unix.PidfdSendSignal(runc, unix.SIGKILL, nil, 0)
	}
}

// starts tells which executed program is the container's: the one in another
// mount namespace and, so that no hook is taken for it, in the process that
// runc has named.
func (j job) starts(inside func(int) bool) func(int) bool {
	return func(pid int) bool {
		if !inside(pid) {
			return false
		}
		if j.PIDFile == "" {
			return true
		}
		data, err := os.ReadFile(j.PIDFile)
		return err == nil && strings.TrimSpace(string(data)) == strconv.Itoa(pid)
	}
}

// startRunc starts runc with every descriptor that our caller meant for it.
func (j job) startRunc() (int, error) {
	files := []uintptr{0, 1, 2}
	for _, fd := range j.Inherited {
		for len(files) <= fd {
			files = append(files, ^uintptr(0))
		}
		files[fd] = uintptr(fd)
	}
	return startStage(j.Command, &syscall.ProcAttr{Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{}})
}

// letGo drops all that is the container's or our caller's: descriptors,
// session, working directory, and signals meant for a whole service, since the
// container must end first.
func (j job) letGo(control *os.File) error {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("drop standard files: %w", err)
		}
	}
	unix.Close(null)
	for _, fd := range j.Inherited {
		unix.Close(fd)
	}
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	unix.Setsid()
	return os.Chdir("/")
}

// fileName makes a container's name part of a file's.
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
	// A process number comes again in time; the clock makes the name unique.
	name := fmt.Sprintf("%s-%s-%d-%x.json", j.Root, fileName(j.Container), os.Getpid(), time.Now().UnixNano())
	o := &output{name: filepath.Join(j.Dir, name), job: j, tracer: t, stop: make(chan struct{}), done: make(chan struct{})}
	// From now on the directory shows that somebody is at work here.
	return o, o.write(false)
}

func (o *output) write(final bool) error {
	accesses, weak := o.tracer.snapshot()
	t := Trace{Container: o.job.Container, Root: o.job.Root, Complete: final, Weak: weak, Accesses: accesses}
	if err := save(o.name, t, final); err != nil {
		return fmt.Errorf("write trace: %w", err)
	}
	return nil
}

func (o *output) discard() { os.Remove(o.name) }

// start writes the file whenever something new was seen, but spends no more
// than a twentieth of the time on it.
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

// finish writes the final trace; it is complete unless the loop failed.
func (o *output) finish(loopErr error) error {
	close(o.stop)
	<-o.done
	if loopErr != nil {
		o.tracer.note(loopErr.Error())
		if err := o.write(false); err != nil {
			return err
		}
		return loopErr
	}
	return o.write(true)
}
