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

	"github.com/adamant-sh/adamant/internal/engine"
	"github.com/adamant-sh/adamant/internal/observe"
	"github.com/adamant-sh/adamant/internal/profile"
)

const (
	defaultReady = 90 * time.Second // for a pod to get ready
	traceGrace   = 15 * time.Second // for the traces to be written after the last process ended
	stopSeconds  = 10               // a trial's grace period at the most
	undoTime     = 60 * time.Second // to take a trial apart after an interrupt
	keptLines    = 40               // of a container's log
	pollTraces   = 250 * time.Millisecond
)

// Options are how workloads are run to learn of them.
type Options struct {
	Engine *engine.Engine
	Load   Load
	Ready  time.Duration                    // a pod must get ready in; 90 s if zero
	Say    func(format string, args ...any) // progress; may be nil
}

func (o Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(format, args...)
	}
}

// A Trial is what one run of a workload under load showed.
type Trial struct {
	Healthy  bool                          `json:"healthy"`           // it got ready and stayed up
	Failure  string                        `json:"failure,omitempty"` // why not
	Outcomes []Outcome                     `json:"outcomes"`          // of the load
	Traces   []observe.Trace               `json:"-"`
	Left     map[string][]profile.Leftover `json:"-"` // by container
	Logs     map[string]string             `json:"-"` // by container, the last lines
}

// passed reports whether the workload was healthy and all load was answered.
func (t Trial) passed() bool {
	return t.Healthy && !slices.ContainsFunc(t.Outcomes, func(o Outcome) bool { return !o.OK })
}

// trouble says in a line what went wrong.
func (t Trial) trouble() string {
	if !t.Healthy {
		return t.Failure
	}
	for _, o := range t.Outcomes {
		if !o.OK {
			return fmt.Sprintf("load %s: %s%s", o.Load, o.Result, indent(o.Output))
		}
	}
	return ""
}

func indent(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return "\n    " + strings.ReplaceAll(s, "\n", "\n    ")
}

// try runs a pod under load, traced from before its first instruction to after
// its last, and removes it. That the pod fails is a result, not an error.
func (o Options) try(ctx context.Context, spec engine.PodSpec) (t Trial, err error) {
	dir, err := o.traceDir()
	if err != nil {
		return Trial{}, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if o.traces() {
		spec.Handler, spec.TraceDir = handler, dir.path
	}
	spec.Ephemeral = true
	t.Left, t.Logs = map[string][]profile.Leftover{}, map[string]string{}
	err = o.live(ctx, spec, dir, &t)
	if err != nil {
		return t, err
	}
	t.Traces, err = waitComplete(ctx, dir.path)
	return t, err
}

// live is a trial's pod from its creation to its removal.
func (o Options) live(ctx context.Context, spec engine.PodSpec, dir *traceDir, t *Trial) (err error) {
	ready, cancel := context.WithTimeout(ctx, orElse(o.Ready, defaultReady))
	defer cancel()
	pod, err := o.Engine.Create(ready, spec, nil)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.Failure = strings.TrimPrefix(err.Error(), fmt.Sprintf("create pod %s/%s: ", spec.Namespace, spec.Name))
		return notAResult(err)
	}
	defer func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		err = errors.Join(err, pod.Remove(undo, 0, nil))
	}()
	if err := pod.WaitReady(ready, nil); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.Failure = err.Error()
	} else {
		t.Healthy = true
		if t.Outcomes, err = o.load(ctx, pod, dir.path); err != nil {
			return err
		}
	}
	return o.end(ctx, pod, t)
}

// end stops the pod and reads what it left behind, before it is removed.
func (o Options) end(ctx context.Context, pod *engine.Pod, t *Trial) error {
	if err := pod.Refresh(ctx); err != nil {
		return err
	}
	if t.Healthy {
		if err := stayedUp(pod); err != nil {
			t.Healthy, t.Failure = false, err.Error()
		}
	}
	grace := int64(stopSeconds)
	if g := pod.Spec().Spec.TerminationGracePeriodSeconds; g != nil {
		grace = min(grace, *g)
	}
	if err := pod.Stop(ctx, grace, nil); err != nil {
		return err
	}
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.ID == "" {
			continue
		}
		left, err := leftovers(ctx, pod, c)
		if err != nil {
			return err
		}
		t.Left[c.Name] = left
		t.Logs[c.Name] = strings.Join(pod.LastLines(c.Name, keptLines), "\n")
	}
	return nil
}

// stayedUp says which container ended in error while the load ran.
func stayedUp(pod *engine.Pod) error {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.State == engine.Exited && c.ExitCode != 0 || c.Restarts > 0 {
			return fmt.Errorf("container %s ended under load: exit code %d %s %s", c.Name, c.ExitCode, c.Reason, c.Message)
		}
	}
	return nil
}

// notAResult returns err if it tells of this machine and not of the workload.
func notAResult(err error) error {
	var exit *engine.ExitError
	if errors.As(err, &exit) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// A traceDir is where the tracers of one trial write. Its lock tells the
// directory of a live process from one that was killed.
type traceDir struct {
	path string
	lock *os.File
}

const (
	handler   = "learn"
	learnRoot = "learn"
	lockName  = ".lock"
)

// traces reports whether the runtime can trace; otherwise only the upper
// directory tells.
func (o Options) traces() bool { return o.Engine.Daemon().Private() }

func (o Options) traceDir() (*traceDir, error) {
	base := filepath.Join(o.Engine.Root(), learnRoot)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, fmt.Errorf("make trace directory: %w", err)
	}
	if err := sweep(base); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(base, "trial-")
	if err != nil {
		return nil, fmt.Errorf("make trace directory: %w", err)
	}
	lock, err := tryLock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &traceDir{dir, lock}, nil
}

func (d *traceDir) Close() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// sweep removes what trials of killed processes left.
func sweep(base string) error {
	old, err := filepath.Glob(filepath.Join(base, "trial-*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // one that is being made has no lock yet
		}
		lock, err := tryLock(filepath.Join(dir, lockName))
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return fmt.Errorf("remove old traces: %w", err)
		}
	}
	return nil
}

// waitComplete reads the traces once their processes have ended.
func waitComplete(ctx context.Context, dir string) ([]observe.Trace, error) {
	deadline := time.Now().Add(traceGrace)
	for {
		traces, err := observe.Load(dir)
		if err != nil {
			return nil, fmt.Errorf("read traces: %w", err)
		}
		cut := slices.ContainsFunc(traces, func(t observe.Trace) bool { return !t.Complete })
		if !cut || time.Now().After(deadline) {
			return traces, nil
		}
		if err := pause(ctx, pollTraces); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
