package learn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	defaultReady = 90 * time.Second // for a pod to get ready
	traceGrace   = 15 * time.Second // for the traces to be written after the last process ended
	undoTime     = 60 * time.Second // to take a trial apart after an interrupt
	keptLines    = 40               // of a container's log
	pollTraces   = 250 * time.Millisecond
)

// Options configures how workloads are run to learn their writes.
type Options struct {
	Engine *pod.Engine
	Load   Load
	Ready  time.Duration                    // a pod must get ready in; 90 s if zero
	Disk   int64                            // bytes that a trial may write to its root file system; 4 GiB if zero
	Say    func(format string, args ...any) // progress; may be nil
	Shared []profile.Profile                // of a folder: those of the same images, commands and arguments are added to a new one

	// Expect shows when all trials will have ended, as far as that can be estimated,
	// and a detail of the current one; may be nil.
	Expect func(end time.Time, detail string)

	forecast *forecast
	all      []Workload // of the file, if several are learned
	subject  Workload   // that is being run
	pieces   []piece    // the load, with the workloads that it is meant for

	// Set after the writable run, see asIn.
	listening []openPort
	patience  time.Duration
	retries   map[string]int // nil in the writable run
	answered  []bool         // after each restart

	// The restarts, see restart.
	noKills  bool    // containers are not killed and restarted
	killOnce bool    // they are killed only when the pod is idle
	repeat   []piece // the load that is repeated with them; set after the writable run
}

func (o Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(format, args...)
	}
}

// A trial is the result of one run of a workload under load.
type trial struct {
	Healthy  bool      // it got ready and stayed up
	Failure  string    // why not
	Outcomes []Outcome // of the load
	Traces   []trace.Trace
	Left     map[string][]profile.Leftover // by container
	Logs     map[string]string             // by container, the last lines
	Weak     []string                      // what was not seen
	Took     time.Duration                 // from the creation of the pod to its end
	Used     map[string]int64              // by volume, the most bytes that it had

	Again    []Outcome         // of the load that is repeated, before that
	Repeated []Outcome         // of its second round, without a restart
	Restarts []restart         // in the order in which they happened
	Kills    map[string]int    // by container
	Retries  map[string]int    // by container, its restarts before the pod was ready
	Earlier  map[string]string // by container, the last lines of its attempts before the last

	pieces    []piece       // its load
	listening []openPort    // ports that were open
	answered  time.Duration // until all of its load was answered for the first time
	lent      loan          // the volumes that it had for its load
	beside    *beside       // the other workloads of the file; nil if there are none
	repeat    []piece       // its load that is repeated with restarts
	exercised bool          // something showed that it does its work
	unkilled  bool          // it must not be killed: see reference
}

// passed reports whether the workload was healthy and all load was answered.
func (t trial) passed() bool {
	return t.Healthy && !failed(t.Outcomes)
}

// trouble returns in one line why the trial did not pass.
func (t trial) trouble() string {
	if !t.Healthy {
		return t.Failure
	}
	for _, o := range t.Outcomes {
		if !o.OK && !o.Free {
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
// its last, and removes it. A failure of the pod is a result and not an error.
func (o Options) try(ctx context.Context, spec pod.PodSpec) (t trial, err error) {
	defer o.forecast.begin(o.Load)()
	dir, err := o.workDir(ctx)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if o.traces() {
		spec.Handler, spec.TraceDir = handler, dir.traces()
	}
	spec.Ephemeral = true
	if err := freePorts(spec.Spec); err != nil {
		return trial{}, err
	}
	if t.beside, err = o.startBeside(ctx, &spec, &t); err != nil {
		return t, errors.Join(err, t.beside.close())
	}
	defer func() { err = errors.Join(err, t.beside.close()) }()
	t.Left, t.Logs, t.Used = map[string][]profile.Leftover{}, map[string]string{}, map[string]int64{}
	t.Kills, t.Retries, t.Earlier = map[string]int{}, map[string]int{}, map[string]string{}
	began := time.Now()
	err = o.live(ctx, spec, dir, &t)
	t.Took = time.Since(began)
	if err != nil {
		return t, err
	}
	t.Traces, err = waitComplete(ctx, dir.traces())
	return t, err
}

// live runs a trial's pod from its creation to its removal.
func (o Options) live(ctx context.Context, spec pod.PodSpec, dir *workDir, t *trial) (err error) {
	running, stop := o.withLimits(ctx, spec.Namespace+"/"+spec.Name, t.Used)
	defer stop()
	ready, cancel := context.WithTimeout(running, orElse(o.Ready, defaultReady))
	defer cancel()
	p, err := o.Engine.Prepare(ready, spec, nil)
	if err != nil {
		if errors.Is(err, pod.ErrLeft) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if limit, err := brokenLimit(running); limit != nil {
			t.Failure = limit.Error()
			return err
		}
		t.Failure = strings.TrimPrefix(err.Error(), fmt.Sprintf("create pod %s/%s: ", spec.Namespace, spec.Name))
		return notAResult(err)
	}
	defer func() {
		// After an interrupt ctx has ended, but the pod must be removed all the
		// same.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		err = errors.Join(err, p.Remove(undo, 0, nil))
	}()
	err = o.start(ready, p, t)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if t.Healthy {
		err = o.load(running, p, dir.traces(), t)
		if err != nil && (ctx.Err() != nil || !isLimit(context.Cause(running))) {
			return err
		}
	}
	stop()
	grace := int64(-1) // the pod's own
	if limit, err := brokenLimit(running); err != nil {
		return err
	} else if limit != nil {
		t.Healthy, t.Failure, grace = false, limit.Error(), 0
	}
	return o.end(ctx, p, t, grace)
}

// end stops the pod within grace seconds, or its own grace period if that is
// negative, and reads its upper directories before it is removed.
func (o Options) end(ctx context.Context, p *pod.Pod, t *trial, grace int64) error {
	if err := p.Refresh(ctx); err != nil {
		return err
	}
	if t.Healthy && !t.lost() {
		if err := t.stayedUp(p); err != nil {
			t.fell(ctx, p, err.Error())
		}
	}
	if p.Phase == pod.Succeeded {
		t.exercised = true
	} else if t.Healthy && !t.exercised {
		t.Weak = append(t.Weak, notExercised)
	}
	if grace < 0 {
		grace = o.graceOf(ctx, p)
	}
	if err := p.Stop(ctx, grace, nil); err != nil {
		return err
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.ID == "" {
			continue
		}
		left, err := leftovers(ctx, p, c)
		if err != nil {
			return err
		}
		t.Left[c.Name] = append(t.Left[c.Name], left...)
		t.Logs[c.Name] = strings.Join(p.LastLines(c.Name, keptLines), "\n")
	}
	return nil
}

// restarts returns how often a container was to be restarted: it was killed on
// purpose, or crashed before the pod was ready.
func (t *trial) restarts(container string) int { return t.Kills[container] + t.Retries[container] }

// stayedUp returns an error if a container ended under load that should not have,
// or if the pod exceeded a limit.
func (t *trial) stayedUp(p *pod.Pod) error {
	if p.Evicted != "" {
		return fmt.Errorf("evicted: %s", p.Evicted)
	}
	always := p.Spec().Spec.RestartPolicy == corev1.RestartPolicyAlways
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.Sidecar && p.Phase == pod.Succeeded {
			continue // it was stopped once the others completed
		}
		serves := always && !c.Init || c.Sidecar
		if c.Restarts > t.restarts(c.Name) || c.State == pod.Exited && (c.ExitCode != 0 || serves) {
			text := fmt.Sprintf("container %s ended with exit code %d", c.Name, c.ExitCode)
			for _, more := range []string{c.Reason, c.Message} {
				if more != "" && more != "Error" && more != "Completed" {
					text += ", " + more
				}
			}
			return errors.New(text + indent(strings.Join(p.LastLines(c.Name, 5), "\n")))
		}
	}
	return nil
}

// notAResult returns err if this machine caused it and not the workload.
func notAResult(err error) error {
	var exit *pod.ExitError
	var notReady *pod.NotReadyError
	if errors.As(err, &exit) || errors.As(err, &notReady) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// traces reports whether the runtime can trace. Otherwise the upper directory
// is the only evidence.
func (o Options) traces() bool { return o.Engine.CanTrace() }

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
