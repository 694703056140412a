package learn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

// The moments at which the containers of a trial are killed.
const (
	underLoad = "under load"
	idle      = "idle"
	atWork    = "at work" // of a pod that is meant to end
)

const (
	restartPatience = 10 * time.Second // for the load to be answered as before a restart, which may never be
	retryLoad       = 100 * time.Millisecond
)

// A restart is one kill of each container that the pod restarts, one after the
// other, and what followed.
type restart struct {
	When      string    // underLoad, idle or atWork
	Container string    // that did not come back
	Failure   string    // why it did not; empty if all came back
	Kept      []string  // paths in its volumes that earlier attempts left, the first maxKept
	Outcomes  []Outcome // of the load, once all were back
}

// lost reports whether a container of the trial did not come back after a kill.
func (t trial) lost() bool {
	return len(t.Restarts) > 0 && t.Restarts[len(t.Restarts)-1].Failure != ""
}

// restart kills the containers of a pod in the middle of its load, and once more
// when it is idle. A kubelet restarts a container with a new root and the volumes
// as they are, so that only a sealed one finds what was left.
func (o Options) restart(ctx context.Context, p *pod.Pod, w *watch, t *trial) error {
	if failed(t.Outcomes) {
		return nil
	}
	names, err := o.toKill(ctx, p)
	if err != nil || len(names) == 0 {
		return err
	}
	o.chooseRepeat(t)
	members := o.members(p, t)
	if len(t.pieces) > 0 && !o.killOnce {
		if err := o.restartUnderLoad(ctx, members, w, t, names); err != nil || t.lost() {
			return err
		}
	}
	return o.restartOnce(ctx, members, w, t, idle, names)
}

// members returns the pods of a trial, the learned one first.
func (o Options) members(p *pod.Pod, t *trial) []member {
	return append([]member{{o.subject, p}}, t.beside.members()...)
}

// chooseRepeat chooses the load that is repeated with restarts: all but commands
// that take long, as in the writable run.
func (o Options) chooseRepeat(t *trial) {
	isSlow := func(l piece) bool {
		return slices.ContainsFunc(t.Outcomes, func(out Outcome) bool { return out.piece == l && l.command != "" && out.took > quickCommand })
	}
	if t.repeat = o.repeat; t.repeat == nil {
		t.repeat = slices.DeleteFunc(slices.Clone(t.pieces), isSlow)
	}
	for _, out := range t.Outcomes {
		if slices.Contains(t.repeat, out.piece) {
			t.Again = append(t.Again, out)
		}
	}
	t.Again = unprinted(t.Again)
}

// unprinted returns outcomes without the output of commands: after a restart they
// may print what was kept, or that it was lost.
func unprinted(outcomes []Outcome) []Outcome {
	outcomes = slices.Clone(outcomes)
	for i := range outcomes {
		outcomes[i].prints = nil
	}
	return outcomes
}

// restartAtWork kills the containers of a pod that is meant to end, and that is
// restarted when it fails. It does nothing if the pod has ended already.
func (o Options) restartAtWork(ctx context.Context, p *pod.Pod, w *watch, t *trial) error {
	names, err := o.toKill(ctx, p)
	if err != nil || len(names) == 0 {
		return err
	}
	return o.restartOnce(ctx, o.members(p, t), w, t, atWork, names)
}

// toKill returns the containers of a pod to kill, none if it has ended.
func (o Options) toKill(ctx context.Context, p *pod.Pod) ([]string, error) {
	if o.noKills {
		return nil, nil
	}
	if err := p.Refresh(ctx); err != nil || p.Phase != pod.Running {
		return nil, err
	}
	names := restartable(p)
	if len(names) > 0 {
		o.say("  killing and restarting %s", strings.Join(names, ", "))
	}
	return names, nil
}

// restartable returns the containers that run and are restarted after a kill.
func restartable(p *pod.Pod) []string {
	var out []string
	for i := range p.Containers {
		if c := &p.Containers[i]; c.State == pod.Started && p.RestartsKilled(c) {
			out = append(out, c.Name)
		}
	}
	return out
}

// restartUnderLoad repeats the load until the containers are back. The first round
// shows which load gets the same answer twice without a restart.
func (o Options) restartUnderLoad(ctx context.Context, members []member, w *watch, t *trial, names []string) error {
	beside := slices.Clone(members)
	for i := range beside {
		own := *beside[i].Pod // commands refresh it
		beside[i].Pod = &own
	}
	rounds, stop := context.WithCancel(w.ctx)
	first, done := make(chan []Outcome, 1), make(chan struct{})
	go func() {
		defer close(done)
		first <- o.round(rounds, beside, t.repeat, time.Time{})
		for rounds.Err() == nil {
			if out := o.round(rounds, beside, t.pieces, time.Time{}); failed(out) {
				clock.Sleep(rounds, retryLoad)
			}
		}
	}()
	defer func() {
		stop()
		<-done
	}()
	select {
	case out := <-first:
		t.Repeated = unprinted(out)
	case <-w.ctx.Done():
		return nil // the caller finds out why
	}
	if len(t.repeat) == 0 {
		clock.Sleep(w.ctx, firstRetry) // for the slow commands to begin
	}
	r, err := o.killEach(ctx, members[0].Pod, w, t, underLoad, names)
	if err != nil {
		return err
	}
	stop()
	<-done
	return o.afterRestart(ctx, members, w, t, r)
}

// restartOnce kills the containers once.
func (o Options) restartOnce(ctx context.Context, members []member, w *watch, t *trial, when string, names []string) error {
	r, err := o.killEach(ctx, members[0].Pod, w, t, when, names)
	if err != nil {
		return err
	}
	return o.afterRestart(ctx, members, w, t, r)
}

// killEach kills containers one after the other, and waits for each.
func (o Options) killEach(ctx context.Context, p *pod.Pod, w *watch, t *trial, when string, names []string) (restart, error) {
	r := restart{When: when}
	for _, name := range names {
		why, err := o.killOne(ctx, p, w, t, name)
		if err != nil {
			return r, err
		}
		if why != "" {
			r.Container, r.Failure = name, why
			break
		}
	}
	return r, nil
}

// killOne kills a container and waits until the pod is ready again. It returns why
// that did not happen.
func (o Options) killOne(ctx context.Context, p *pod.Pod, w *watch, t *trial, name string) (string, error) {
	wait, cancel := context.WithTimeout(ctx, orElse(o.Ready, defaultReady))
	defer cancel()
	if !w.waitReady(wait, 1) {
		return o.notBack(ctx, p, w, t, name)
	}
	if err := p.Refresh(ctx); err != nil {
		return "", err
	}
	c, err := p.Container(name)
	if err != nil {
		return "", err
	}
	before := *c
	before.PID = 0 // it will have ended
	t.Earlier[name] += strings.Join(p.LastLines(name, keptLines), "\n") + "\n"
	times, _ := w.readyTimes()
	if err := p.Kill(ctx, name); err != nil {
		clock.Sleep(w.ctx, restartPatience) // a container that the load has made crash is noticed soon
		if errors.Is(context.Cause(w.ctx), errEnded) {
			return "", errEnded
		}
		if w.ctx.Err() == nil {
			t.Weak = append(t.Weak, fmt.Sprintf("container %s was not killed, so its restart is not proven: %v", name, err))
		}
		return "", nil
	}
	t.Kills[name]++
	if !w.waitReady(wait, times+1) {
		if crashed, err := endedByItself(ctx, p, &before); err != nil || crashed {
			t.Kills[name]--
			return "", cmp.Or(err, errEnded)
		}
		return o.notBack(ctx, p, w, t, name)
	}
	if isReadOnly(p.Spec().Spec, name) {
		return "", nil
	}
	left, err := leftovers(ctx, p, &before)
	t.Left[name] = append(t.Left[name], left...)
	return "", err
}

// endedByItself reports whether a container that was killed had ended before: the load made
// it crash, and the kill came before the crash was noticed.
func endedByItself(ctx context.Context, p *pod.Pod, before *pod.Container) (bool, error) {
	if ctx.Err() != nil {
		return false, nil // the caller returns the reason
	}
	if err := p.Refresh(ctx); err != nil {
		return false, err
	}
	c, err := p.Container(before.Name)
	if err != nil {
		return false, err
	}
	return c.ID == before.ID && c.State == pod.Exited && c.ExitCode != pod.KilledCode, nil
}

// notBack returns why a pod did not become ready after a kill, or "" if it has
// completed.
func (o Options) notBack(ctx context.Context, p *pod.Pod, w *watch, t *trial, name string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	cause := context.Cause(w.ctx)
	if errors.Is(cause, errCompleted) {
		return "", nil
	}
	if err := p.Refresh(ctx); err != nil {
		return "", err
	}
	if err := t.stayedUp(p); err != nil {
		return err.Error(), nil
	}
	if cause != nil && !errors.Is(cause, errEnded) {
		return cause.Error(), nil
	}
	return fmt.Sprintf("container %s is not ready after %s%s", name, orElse(o.Ready, defaultReady), w.complaints()), nil
}

// afterRestart runs the load again after a restart and records the result.
func (o Options) afterRestart(ctx context.Context, members []member, w *watch, t *trial, r restart) error {
	p := members[0].Pod
	if r.Failure == "" {
		r.Outcomes = o.roundAgain(w.ctx, members, t)
		if len(r.Outcomes) == 0 {
			clock.Sleep(w.ctx, o.quiet()) // it may end soon after its start
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if w.ctx.Err() != nil {
			why, err := o.notBack(ctx, p, w, t, "")
			if err != nil {
				return err
			}
			r.Failure = why
		}
	}
	if r.Failure != "" {
		if r.Container == "" {
			r.Container = t.crashed(p)
		}
		r.Kept = kept(ctx, p, r.Container)
	}
	t.Restarts = append(t.Restarts, r)
	return nil
}

// roundAgain runs the load until it is answered as before the restart, or for a
// while. A server without a probe is ready before it listens, and one that recovers
// its data may listen before it answers.
func (o Options) roundAgain(ctx context.Context, members []member, t *trial) []Outcome {
	if len(t.Again) == 0 {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, o.patienceAfter(len(t.Restarts)))
	defer cancel()
	for _, open := range t.listening {
		accepts(patience, net.JoinHostPort(address(find(members, open.workload).Pod), fmt.Sprint(open.port)))
	}
	return repeatRound(ctx, patience, func() ([]Outcome, bool) {
		out := unprinted(o.round(ctx, members, t.repeat, time.Time{}))
		return out, t.asBefore(out)
	})
}

// repeatRound calls round until it is good, or until one that began after the end of
// patience is not: a round may take longer than patience, and have begun too early.
func repeatRound(ctx, patience context.Context, round func() (out []Outcome, good bool)) []Outcome {
	for {
		isLast := patience.Err() != nil
		out, good := round()
		if good || isLast || ctx.Err() != nil {
			return out
		}
		clock.Sleep(patience, retryLoad) // it ends with patience, after which the last round follows
	}
}

// patienceAfter returns how long the load is repeated after restart i. It is as long
// as a pod may take to get ready if the load was answered with a writable root,
// because otherwise the proof would fail.
func (o Options) patienceAfter(i int) time.Duration {
	if i < len(o.answered) && o.answered[i] {
		return orElse(o.Ready, defaultReady)
	}
	return restartPatience
}

// answeredAfter returns for each restart of a trial whether the load was answered as
// before.
func (t trial) answeredAfter() []bool {
	var out []bool
	for _, r := range t.Restarts {
		out = append(out, r.Failure == "" && t.asBefore(r.Outcomes))
	}
	return out
}

// asBefore reports whether a round of the load had the same answers as the first
// one, of the pieces that have the same answer twice.
func (t trial) asBefore(round []Outcome) bool {
	for i, c := range compare(t.Again, round) {
		if !c.Alike && t.repeats(i) {
			return false
		}
	}
	return true
}

// fell records that the pod did not stay up, and why. A container that ends after the
// restart of an idle pod, which no load follows, did not start again.
func (t *trial) fell(ctx context.Context, p *pod.Pod, why string) {
	if last := len(t.Restarts) - 1; last >= 0 && t.Restarts[last].When == idle && p.Evicted == "" {
		if c := t.crashed(p); c != "" {
			r := &t.Restarts[last]
			r.Container, r.Failure, r.Kept = c, why, kept(ctx, p, c)
			return
		}
	}
	t.Healthy, t.Failure = false, why
}

// crashed returns the container that ended other than by a kill, or "".
func (t *trial) crashed(p *pod.Pod) string {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Restarts > t.restarts(c.Name) || c.State == pod.Exited && !(c.Init && !c.Sidecar) {
			return c.Name
		}
	}
	return ""
}

// isReadOnly reports whether a container cannot write its root.
func isReadOnly(spec corev1.PodSpec, container string) bool {
	readOnly := false
	eachContainer(&spec, func(c *corev1.Container) {
		if sc := c.SecurityContext; c.Name == container && sc != nil && sc.ReadOnlyRootFilesystem != nil {
			readOnly = *sc.ReadOnlyRootFilesystem
		}
	})
	return readOnly
}
