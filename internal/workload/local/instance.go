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

// labelGeneration is the label of a pod with the number of its generation.
const labelGeneration = "adamant.sh/generation"

// An instance is one pod of a workload, from before the pod exists until it is
// removed. The workload's mu guards it.
type instance struct {
	rollout.Instance
	pod           *pod.Pod // nil while it is being created
	ip            string
	labels        map[string]string
	template      *corev1.PodSpec
	hostname      string // of the pod's own name below that of the Service subdomain
	subdomain     string
	unprobed      bool // it was adopted, and its readiness is not known yet
	isolated      bool
	driftAt       time.Time       // time of the last comparison
	driftTook     time.Duration   // its duration
	unknowns      int             // comparisons in a row in which a container could not be compared
	unknownAt     time.Time       // of the last one that was counted
	roots         roots           // cache
	rootsVersion  int             // counts the restarts that invalidate roots
	comparesAgain bool            // another comparison is scheduled
	changes       int             // that count as drift
	evidence      string          // directory, if it drifted
	evidences     int             // that were saved
	evidencePrint string          // fingerprint of the changes in the last one
	evidenceAt    time.Time       // of the last one
	phase         string          // shown to users: Starting, Running, Ready, Crashed, Ending
	started       map[string]bool // containers that were started before
	waiting       string          // why a container waits to be started again: CrashLoopBackOff; empty if none does
	crashes       map[string]int  // in a row, by container, that were added to Crashes
	message       string          // of the last event
	job           *jobPod         // of a Job
	cancel        context.CancelFunc
	done          chan struct{} // closed when its supervision has ended
}

// spec returns the spec of a generation's pod.
func (w *workload) spec(g *Generation, name string) pod.PodSpec {
	s := pod.SpecOf(pod.Template{
		Kind: w.key.Kind, Namespace: w.key.Namespace, Name: w.key.Name,
		Template: g.Template, ConfigMaps: g.ConfigMaps, Secrets: g.Secrets,
	})
	s.Name, s.Ephemeral = name, w.controller.opts.Ephemeral
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	s.Labels[labelGeneration] = strconv.Itoa(g.Number)
	return s
}

// createInstance starts to create an instance.
func (w *workload) createInstance(ctx context.Context, g *Generation) {
	name := pod.InstanceName(w.key.Kind, w.key.Name)
	if w.instances[name] != nil {
		return // the name of a Pod is fixed, and the instance that is ending still has it
	}
	w.startInstance(ctx, g, w.spec(g, name), func(context.Context) error { return nil })
}

// startInstance starts to create an instance, after prepare. It does nothing while one of
// its name exists: two instances of a StatefulSet would write the same claims.
func (w *workload) startInstance(ctx context.Context, g *Generation, spec pod.PodSpec, prepare func(context.Context) error) {
	if w.instances[spec.Name] != nil {
		return
	}
	i := &instance{
		Instance: rollout.Instance{ID: spec.Name, Ordinal: ordinalOf(spec.Labels), Generation: g.Number, Created: time.Now()},
		template: &g.Template.Spec, phase: "Starting", crashes: map[string]int{}, done: make(chan struct{}),
	}
	i.labels, i.hostname, i.subdomain = spec.Labels, spec.Spec.Hostname, spec.Spec.Subdomain
	ctx, i.cancel = context.WithCancel(ctx)
	w.instances[spec.Name] = i
	w.wg.Go(func() {
		defer close(i.done)
		var p *pod.Pod
		err := prepare(ctx)
		if err == nil {
			p, err = w.controller.create(ctx, spec, func(e pod.Event) { w.handleEvent(i, e) })
		}
		if err != nil {
			w.createFailed(ctx, i, err)
			return
		}
		w.setCreated(i, p)
		w.supervise(ctx, i, false)
	})
}

// createFailed removes an instance that could not be created.
func (w *workload) createFailed(ctx context.Context, i *instance, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.instances, i.ID)
	if ctx.Err() == nil {
		w.countFailure(i.Generation, err.Error())
		w.recordInstanceEvent(i, "Failed", "instance %s could not be made: %v", i.ID, err)
	}
	w.notify()
}

// countFailure counts a lost instance and delays the next one, longer after
// each failure.
func (w *workload) countFailure(generation int, reason string) {
	f := w.failed[generation]
	if time.Since(w.failedAt) > failureMemory {
		f.Times = 0
	}
	w.failedAt = time.Now()
	f.Times, f.Reason = f.Times+1, reason
	w.failed[generation] = f
	w.notBefore[generation] = w.failedAt.Add(backOff(f.Times))
}

// failureMemory is the time without failures after which the count restarts, as
// the kubelet resets its crash back-off.
const failureMemory = 10 * time.Minute

// backOff returns the delay after a number of failures.
func backOff(failures int) time.Duration {
	if failures > 9 {
		return 5 * time.Minute
	}
	return min(time.Second<<max(failures-1, 0), 5*time.Minute)
}

func (w *workload) setCreated(i *instance, p *pod.Pod) {
	told := *p // the supervisor changes p
	w.controller.opts.Created(&told)
	w.mu.Lock()
	defer w.mu.Unlock()
	i.pod, i.ip = p, p.IP
	w.notify()
}

// adopt takes over a pod that an earlier process created. It counts as created
// by this one. If it served under that process it is ready until a probe fails; otherwise
// it is not ready before its probes have run again.
func (w *workload) adopt(ctx context.Context, p *pod.Pod, generation int) {
	i := &instance{
		Instance: rollout.Instance{ID: p.Name, Ordinal: ordinalOf(p.Labels), Generation: generation, Created: p.Created},
		pod:      p, ip: p.IP, phase: "Running", labels: p.Labels, crashes: map[string]int{}, done: make(chan struct{}),
	}
	for _, c := range p.Containers {
		if c.ID != "" {
			i.setStarted(c.Name)
		}
		if !c.Init || c.Sidecar {
			i.crashes[c.Name] = c.Crashes
			i.Crashes += c.Crashes
		}
		if c.RestartAt.After(i.RestartAt) {
			i.RestartAt = c.RestartAt
		}
		if c.Waiting != "" {
			i.phase, i.waiting, i.Reason, i.message = "Crashed", c.Waiting, c.Message, c.Message
		}
	}
	i.unprobed = i.waiting == "" && p.Phase != pod.Removing
	spec := p.Spec()
	i.template, i.hostname, i.subdomain = &spec.Spec, spec.Spec.Hostname, spec.Spec.Subdomain
	ctx, i.cancel = context.WithCancel(ctx)
	w.instances[p.Name] = i
	if w.key.Kind == "Job" {
		i.job = &jobPod{restarts: map[string]int{}}
	}
	if p.Phase == pod.Removing { // the process that terminated it was killed
		i.Ending, i.phase = true, "Ending"
		i.cancel()
		close(i.done)
		w.wg.Go(func() { w.removePod(w.ctx, i) })
		return
	}
	if i.job != nil {
		w.adoptJobPod(ctx, i)
		return
	}
	if w.controller.wasServing(p, i.address()) {
		i.Ready, i.ReadySince, i.phase = true, time.Now(), "Ready"
		w.queueComparison(i)
	}
	wasReady := i.Ready
	w.wg.Go(func() {
		defer close(i.done)
		w.supervise(ctx, i, wasReady)
	})
}

// supervise supervises an instance until it is terminated. An instance that
// ended by itself is removed, and the loop creates another.
func (w *workload) supervise(ctx context.Context, i *instance, wasReady bool) {
	err := i.pod.Supervise(ctx, pod.Supervision{
		Events:  func(e pod.Event) { w.handleEvent(i, e) },
		Ready:   func(ready bool, reason string) { w.setReady(i, ready, reason) },
		Crashed: func(c pod.Crash) { w.setCrashed(i, c) },

		WasReady: wasReady,
	})
	if ctx.Err() != nil {
		return // it is being terminated, or the controller is closed
	}
	why := "it is gone"
	if err != nil {
		why = err.Error()
	}
	w.mu.Lock()
	i.Ending, i.Ready, i.phase = true, false, "Ending"
	w.countFailure(i.Generation, "instance "+i.ID+" ended: "+why)
	w.count(func(n *Counts) { n.Ended++ })
	w.recordInstanceEvent(i, "Ended", "instance %s ended: %s", i.ID, why)
	w.mu.Unlock()
	w.notify()
	// A removal that has begun is finished even if the controller is closed.
	w.removePod(context.WithoutCancel(ctx), i)
}

// setReady stores whether an instance is ready.
func (w *workload) setReady(i *instance, ready bool, reason string) {
	ip := i.ip
	if p, err := i.pod.Fresh(w.ctx); err == nil && ready {
		ip = p.IP // changes if the sandbox was recreated
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.controller.services.update()
	i.unprobed = false
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

// handleEvent updates an instance after an event.
func (w *workload) handleEvent(i *instance, e pod.Event) {
	w.controller.opts.Events(e)
	w.mu.Lock()
	defer w.mu.Unlock()
	i.message = e.Message
	if i.unprobed && e.Reason == "NotReady" {
		i.unprobed = false
		w.controller.services.update()
	}
	if e.Reason == "Started" {
		if i.job != nil && e.Container != "" {
			i.job.restarts[e.Container]++
			w.notify()
		}
		if i.setStarted(e.Container) {
			w.count(func(n *Counts) { n.Restarts++ })
		}
		i.roots, i.rootsVersion = roots{}, i.rootsVersion+1
		if i.waiting = ""; i.phase == "Starting" {
			i.phase = "Running"
		}
	}
	if e.Reason == "Completed" && i.Crashes == 0 {
		i.Reason = "" // an init container that failed before
	}
}

// setStarted stores that a container was started, and reports whether it was before.
func (i *instance) setStarted(container string) bool {
	before := i.started[container]
	if i.started == nil {
		i.started = map[string]bool{}
	}
	i.started[container] = true
	return before
}

// setCrashed stores a crash of an instance. Init containers may fail until what they
// wait for is there, as long as the rollout's deadline permits, so that their crashes
// do not count.
func (w *workload) setCrashed(i *instance, c pod.Crash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i.Reason, i.message = c.Err.Error(), c.Err.Error()
	i.waiting, i.unprobed = c.Reason, false
	if !i.Ending {
		i.phase = "Crashed"
	}
	if c.Init || c.Count != i.crashes[c.Container] { // else the crash was reported by the last daemon
		w.logInstanceEvent(i, "Crashed", c.Err.Error())
		w.count(func(n *Counts) { n.Crashes++ })
	}
	if !c.Init {
		before := i.crashes[c.Container]
		if c.Count < before {
			before = 0 // it had run for long
			i.Crashes = 0
		}
		i.Crashes += c.Count - before
		i.crashes[c.Container], i.RestartAt = c.Count, c.RestartAt
	}
	w.notify()
}

// terminate takes an instance out of traffic and stops it at the same time, as in
// Kubernetes: only the instance itself can end a session well, such as one of
// HTTP/2 or a WebSocket. The caller holds mu.
func (w *workload) terminate(i *instance) {
	if i.Ending {
		return
	}
	i.Ending, i.phase = true, "Ending"
	w.wg.Go(func() {
		// Routes are updated here and not in the background: a process may refuse
		// connections as soon as it gets SIGTERM.
		w.controller.services.route()
		i.cancel()
		// Until then the supervision uses the pod, or the creation may set it.
		<-i.done
		w.removePod(w.ctx, i)
	})
}

// removePod removes an instance's pod, trying until it succeeds, and then the
// instance. Until then the instance counts as ending: its name and its address are
// still in use.
func (w *workload) removePod(ctx context.Context, i *instance) {
	for tries := 1; i.pod != nil; tries++ {
		err := i.pod.Terminate(ctx, nil, func(ctx context.Context) { w.controller.services.finish(ctx, backendID(w.key.Namespace, i.ID)) })
		if err == nil {
			w.controller.services.cut(backendID(w.key.Namespace, i.ID))
			break
		}
		if w.ctx.Err() != nil {
			return // the next process that opens the data directory finishes it
		}
		if !errors.Is(err, pod.ErrBusy) { // ErrBusy: another process is removing it
			w.controller.log(fmt.Errorf("remove instance %s: %w", i.ID, err))
		}
		clock.Sleep(w.ctx, backOff(tries))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.instances, i.ID)
	w.notify()
}
