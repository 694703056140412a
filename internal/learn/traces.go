package learn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/learn/observe"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	handler    = "learn"
	learnRoot  = "learn"
	imageMount = "image"  // in a work directory: where an image is mounted to be read
	traceFiles = "traces" // in a work directory: the directory of traces, which tracers lock
)

// A workDir is the directory of one trial, or of reading one image. It is
// locked, so that the directory of a running process can be distinguished from
// that of a killed one.
type workDir struct {
	path string
	lock *os.File
}

// workDir creates one, and removes those of killed processes.
func (o Options) workDir(ctx context.Context) (*workDir, error) {
	base := filepath.Join(o.Engine.Root(), learnRoot)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make trace directory: %w", err)
	}
	unlock, err := waitLock(ctx, base)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(ctx, o.Engine, base); err != nil {
		return nil, err
	}
	// The lock of base is held until the directory is locked itself, so that no
	// sweep removes it in between.
	dir, err := os.MkdirTemp(base, "trial-")
	if err != nil {
		return nil, fmt.Errorf("make trace directory: %w", err)
	}
	lock, err := tryLock(dir)
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, traceFiles), 0o700)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &workDir{dir, lock}, nil
}

// traces returns the directory that tracers write to.
func (d *workDir) traces() string { return filepath.Join(d.path, traceFiles) }

// Close removes the directory. It unlocks last, so that no other process removes
// entries at the same time.
func (d *workDir) Close() error {
	return errors.Join(removeTraced(context.Background(), d.path), d.lock.Close())
}

// Sweep removes files that learning left on disk when its process was killed.
// Learning also does this itself.
func Sweep(ctx context.Context, e *pod.Engine) error {
	base := filepath.Join(e.Root(), learnRoot)
	if old, err := filepath.Glob(filepath.Join(base, "trial-*")); err != nil || len(old) == 0 {
		return err
	}
	unlock, err := waitLock(ctx, base)
	if err != nil {
		return err
	}
	defer unlock()
	return sweep(ctx, e, base)
}

// sweep holds the lock of base, under which work directories are made.
func sweep(ctx context.Context, e *pod.Engine, base string) error {
	old, err := filepath.Glob(filepath.Join(base, "trial-*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		lock, err := tryLock(dir)
		if errors.Is(err, errLocked) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err = e.UnmountImage(ctx, filepath.Join(dir, imageMount)); err == nil {
			err = removeTraced(ctx, dir)
		}
		if err := errors.Join(err, lock.Close()); err != nil {
			return fmt.Errorf("remove the files of a killed process: %w", err)
		}
	}
	return nil
}

// removeTraced removes a work directory. If another process is removing its
// pod, the pod may still be traced, or a tracer may be ending, so a file may be
// added after the directory was read.
func removeTraced(ctx context.Context, dir string) error {
	for deadline := time.Now().Add(traceGrace); ; {
		err := os.RemoveAll(dir)
		if !errors.Is(err, unix.ENOTEMPTY) || time.Now().After(deadline) {
			return err
		}
		if err := clock.Sleep(ctx, pollTraces/10); err != nil {
			return err
		}
	}
}

// waitComplete reads the traces once their processes have ended.
func waitComplete(ctx context.Context, dir string) ([]trace.Trace, error) {
	deadline := time.Now().Add(traceGrace)
	for {
		traces, err := observe.Load(dir)
		if err != nil {
			return nil, fmt.Errorf("read traces: %w", err)
		}
		if truncated(traces) == "" || time.Now().After(deadline) {
			return traces, nil
		}
		if err := clock.Sleep(ctx, pollTraces); err != nil {
			return nil, err
		}
	}
}

// truncated returns a container whose trace is incomplete, or "".
func truncated(traces []trace.Trace) string {
	i := slices.IndexFunc(traces, func(t trace.Trace) bool { return !t.Complete })
	if i < 0 {
		return ""
	}
	return traces[i].Container
}

// neverRan reports whether a trace was cut short only because its container was removed
// before it ran.
func neverRan(t trace.Trace) bool { return slices.Contains(t.Weak, observe.NotSeen) }

// whyCut returns the reason of the first incomplete trace, for an error message. A
// tracer that was killed left none.
func whyCut(traces []trace.Trace) string {
	i := slices.IndexFunc(traces, func(t trace.Trace) bool { return !t.Complete })
	if i < 0 || len(traces[i].Weak) == 0 {
		return ""
	}
	return " (" + strings.Join(traces[i].Weak, "; ") + ")"
}
