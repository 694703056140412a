package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// LabelGeneration is the label of a pod that says of which generation it is.
const LabelGeneration = "adamant.sh/generation"

// An instance is one pod of a workload, from before it is made until it is
// gone. The keeper's lock guards it.
type instance struct {
	rollout.Instance
	pod           *pod.Pod // nil while it is being made
	ip            string
	labels        map[string]string
	template      *corev1.PodSpec
	isolated      bool
	driftAt       time.Time // it was last compared
	roots         roots     // where its containers keep their changes
	rootsVersion  int       // counts what makes view untrue
	comparesAgain bool      // it is compared once more, soon
	changes       int       // that count as drift
	evidence      string    // directory, if it drifted
	phase         string    // for people: Starting, Running, Ready, Crashed, Ending
	message       string    // the last thing that happened to it
	cancel        context.CancelFunc
	done          chan struct{} // closed when nobody tends it any more
}

// spec is the pod of a generation.
func (w *workload) spec(g *Generation, name string) pod.PodSpec {
	s := pod.SpecOf(pod.Template{
		Kind: w.key.Kind, Namespace: w.key.Namespace, Name: w.key.Name,
		Template: g.Template, ConfigMaps: g.ConfigMaps, Secrets: g.Secrets,
	})
	s.Name, s.Ephemeral = name, w.controller.opts.Ephemeral
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[LabelGeneration] = strconv.Itoa(g.Number)
	return s
}

// createInstance begins to make an instance.
func (w *workload) createInstance(ctx context.Context, g *Generation) {
	name := pod.InstanceName(w.key.Kind, w.key.Name)
	if w.instances[name] != nil {
		return // a Pod keeps its name, which the one that is ending still has
	}
	i := &instance{
		Instance: rollout.Instance{ID: name, Generation: g.Number, Created: time.Now()},
		template: &g.Template.Spec, phase: "Starting", done: make(chan struct{}),
	}
	spec := w.spec(g, name)
	i.labels = spec.Labels
	ctx, i.cancel = context.WithCancel(ctx)
	w.instances[name] = i
	w.wg.Go(func() {
		defer close(i.done)
		p, err := w.controller.create(ctx, spec, func(e pod.Event) { w.handleEvent(i, e) })
		if err != nil {
			w.createFailed(ctx, i, err)
			return
		}
		w.setCreated(i, p)
		w.supervise(ctx, i)
	})
}

// createFailed forgets an instance that could not be made.
func (w *workload) createFailed(ctx context.Context, i *instance, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.instances, i.ID)
	if ctx.Err() == nil {
		w.countFailure(i.Generation, err.Error())
		w.recordEvent("Failed", "instance %s could not be made: %v", i.ID, err)
	}
	w.notify()
}

// countFailure counts an instance that was lost, and lets the next one wait: the longer
// the more were lost in a short time.
func (w *workload) countFailure(generation int, reason string) {
	f := w.failed[generation]
	if time.Since(w.failedAt) > failureMemory {
		f.Times = 0
	}
	w.failedAt = time.Now()
	f.Times, f.Reason = f.Times+1, reason
	w.failed[generation] = f
	w.notBefore = w.failedAt.Add(backOff(f.Times))
}

// failureMemory is how long a lost instance is held against its generation, as
// a kubelet forgets crashes.
const failureMemory = 10 * time.Minute

// backOff is how long nothing is made after so many failures.
func backOff(failures int) time.Duration {
	if failures > 9 {
		return 5 * time.Minute
	}
	return min(time.Second<<max(failures-1, 0), 5*time.Minute)
}

func (w *workload) setCreated(i *instance, p *pod.Pod) {
	told := *p // the supervisor changes its own
	w.controller.opts.Created(&told)
	w.mu.Lock()
	defer w.mu.Unlock()
	i.pod, i.ip, i.phase = p, p.IP, "Running"
	w.notify()
}

// adopt takes over a pod that an earlier process made.
func (w *workload) adopt(ctx context.Context, p *pod.Pod, generation int) {
	i := &instance{
		Instance: rollout.Instance{ID: p.Name, Generation: generation, Created: p.Created},
		pod:      p, ip: p.IP, phase: "Running", labels: p.Labels, done: make(chan struct{}),
	}
	spec := p.Spec()
	i.template = &spec.Spec
	ctx, i.cancel = context.WithCancel(ctx)
	w.instances[p.Name] = i
	w.wg.Go(func() {
		defer close(i.done)
		w.supervise(ctx, i)
	})
}

// supervise supervises an instance until it is to be removed, and removes one that
// ended by itself: another takes its place.
func (w *workload) supervise(ctx context.Context, i *instance) {
	err := i.pod.Supervise(ctx, pod.Supervision{
		Events: func(e pod.Event) { w.handleEvent(i, e) },
		Ready:  func(ready bool, reason string) { w.setReady(i, ready, reason) },
	})
	if ctx.Err() != nil {
		return // it is being removed, or the fleet ends
	}
	why := "it is gone"
	if err != nil {
		why = err.Error()
	}
	w.mu.Lock()
	i.Ending, i.Ready, i.phase = true, false, "Ending"
	w.countFailure(i.Generation, "instance "+i.ID+" ended: "+why)
	w.recordEvent("Ended", "instance %s ended: %s", i.ID, why)
	w.mu.Unlock()
	w.notify()
	w.removePod(context.WithoutCancel(ctx), i)
}

// setReady notes that an instance became ready or stopped being so.
func (w *workload) setReady(i *instance, ready bool, reason string) {
	ip := i.ip
	if p, err := i.pod.Fresh(w.ctx); err == nil && ready {
		ip = p.IP // another one, if its sandbox had to be made anew
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.controller.services.update()
	if i.Ready == ready {
		return
	}
	i.ip = ip
	i.Ready, i.message = ready, reason
	i.roots, i.rootsVersion = roots{}, i.rootsVersion+1
	switch {
	case ready:
		i.ReadySince, i.phase = time.Now(), "Ready"
		w.queueComparison(i)
	case !i.Ending:
		i.phase = "Running"
	}
	w.notify()
}

// handleEvent remembers what happened to an instance.
func (w *workload) handleEvent(i *instance, e pod.Event) {
	w.controller.opts.Events(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	i.message = e.Message
	if e.Reason == "Started" {
		i.roots, i.rootsVersion = roots{}, i.rootsVersion+1
	}
	if e.Reason == "BackOff" || e.Reason == "Failed" {
		i.Crashes, i.Reason, i.phase = i.Crashes+1, e.Message, "Crashed"
		w.notify()
	}
}

// terminate takes an instance out of traffic for good, lets what is open on it
// finish, and removes it.
func (w *workload) terminate(i *instance) {
	if i.Ending {
		return
	}
	i.Ending, i.phase = true, "Ending"
	w.wg.Go(func() {
		grace := gracePeriod(i.template)
		ctx, cancel := context.WithTimeout(w.ctx, grace)
		w.controller.services.drain(ctx, i.ID)
		cancel()
		i.cancel()
		<-i.done
		w.removePod(w.ctx, i)
	})
}

// removePod removes an instance's pod, however often that takes, and forgets it.
func (w *workload) removePod(ctx context.Context, i *instance) {
	for tries := 1; i.pod != nil; tries++ {
		err := i.pod.Remove(ctx, -1, nil)
		if err == nil {
			break
		}
		if w.ctx.Err() != nil {
			return // whoever opens the engine next finishes it
		}
		if !errors.Is(err, pod.ErrBusy) { // somebody else removes it already
			w.controller.log(fmt.Errorf("remove instance %s: %w", i.ID, err))
		}
		clock.Sleep(w.ctx, backOff(tries))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.instances, i.ID)
	w.notify()
}

func gracePeriod(spec *corev1.PodSpec) time.Duration {
	if spec.TerminationGracePeriodSeconds != nil {
		return time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	}
	return 30 * time.Second
}
