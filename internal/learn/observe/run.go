package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/ownthread"
)

// A Command is a program to run traced.
type Command struct {
	Path string   // of the program, absolute
	Args []string // with the program's name first; nil means just that
	Env  []string // nil means the caller's
	Dir  string   // working directory; empty means the caller's

	Stdin, Stdout, Stderr *os.File // nil means /dev/null

	// Entered is set if Path only prepares a container: recording starts with
	// the first program that is executed in another mount namespace than the
	// caller's.
	Entered bool
}

// Run runs a program traced, without a container, until it and all its
// descendants have ended. It returns their writes and the program's exit status
// (128 plus the signal if one killed it). The calling executable must call
// RuntimeMain when its name is RuntimeName. When ctx ends, Run kills everything
// and returns ctx's error.
func Run(ctx context.Context, c Command) (t trace.Trace, status int, err error) {
	ownthread.Run(func() { // every process that is still traced ends with the thread
		t, status, err = c.run(ctx)
	})
	return t, status, err
}

func (c Command) run(ctx context.Context) (trace.Trace, int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return trace.Trace{}, 0, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Sys: &syscall.SysProcAttr{}}
	if c.Env == nil {
		attr.Env = os.Environ()
	}
	for _, f := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		if f == nil {
			f = null
		}
		attr.Files = append(attr.Files, f.Fd())
	}
	args := c.Args
	if args == nil {
		args = []string{c.Path}
	}
	t, exit := newTracer(), 0
	defer t.close()
	if c.Entered {
		if t.inside, err = elsewhere(); err != nil {
			return trace.Trace{}, 0, err
		}
		t.starts, t.measures = t.inside, true
	}
	t.ended = func(s syscall.WaitStatus) { exit = exitCode(s) }
	pid, err := startTraced(append([]string{c.Path}, args[1:]...), attr)
	if err != nil {
		return trace.Trace{}, 0, err
	}
	t.first = pid
	err = errors.Join(t.loopUntil(ctx, pid), t.blind)
	accesses, weak := t.snapshot()
	return trace.Trace{Root: "init", Complete: err == nil, Weak: weak, Accesses: accesses}, exit, err
}

// loopUntil runs the loop. When ctx ends it kills all traced processes.
func (t *tracer) loopUntil(ctx context.Context, pid int) error {
	first, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("open traced process: %w", err)
	}
	defer unix.Close(first)
	over := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		select {
		case <-ctx.Done():
			t.killing.Store(true)
			// The loop may have reaped the process since, and its PID may have been
			// reused. The pidfd never refers to another process.
			unix.PidfdSendSignal(first, unix.SIGKILL, nil, 0)
		case <-over:
		}
	})
	err = t.loop()
	close(over)
	killer.Wait()
	return errors.Join(err, ctx.Err())
}

func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// elsewhere returns a function that reports whether a thread is in another
// mount namespace than this process.
func elsewhere() (func(tid int) bool, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("read own mount namespace: %w", err)
	}
	return func(tid int) bool {
		ns, err := os.Readlink(procDir(tid) + "ns/mnt")
		return err == nil && ns != own
	}, nil
}
