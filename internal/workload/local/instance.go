package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	engine "github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// LabelGeneration is the label of a pod that says of which generation it is.
const LabelGeneration = "adamant.sh/generation"

// An instance is one pod of a workload, from before it is made until it is
// gone. The keeper's lock guards it.
type instance struct {
	rollout.Instance
	pod      *engine.Pod // nil while it is being made
	ip       string
	labels   map[string]string
	template *corev1.PodSpec
	isolated bool
	driftAt  time.Time // it was last compared
	view     view      // where its containers keep their changes
	starts   int       // counts what makes view untrue
	again    bool      // it is compared once more, soon
	changes  int       // that count as drift
	evidence string    // directory, if it drifted
	phase    string    // for people: Starting, Running, Ready, Crashed, Ending
	message  string    // the last thing that happened to it
	cancel   context.CancelFunc
	done     chan struct{} // closed when nobody tends it any more
}

// spec is the pod of a generation.
func (k *keeper) spec(g *Generation, name string) engine.PodSpec {
	labels := map[string]string{}
	for key, value := range g.Template.Labels {
		labels[key] = value
	}
	labels[LabelGeneration] = strconv.Itoa(g.Number)
	return engine.PodSpec{
		Namespace: k.key.Namespace, Name: name, Workload: workloadName(k.key),
		Labels: labels, Annotations: g.Template.Annotations, Spec: *g.Template.Spec.DeepCopy(),
		ConfigMaps: g.ConfigMaps, Secrets: g.Secrets, Ephemeral: k.fleet.opts.Ephemeral,
	}
}

// make begins to make an instance.
func (k *keeper) make(ctx context.Context, g *Generation) {
	name := engine.InstanceName(k.key.Kind, k.key.Name)
	if k.instances[name] != nil {
		return // a Pod keeps its name, which the one that is ending still has
	}
	i := &instance{
		Instance: rollout.Instance{ID: name, Generation: g.Number, Made: time.Now()},
		template: &g.Template.Spec, phase: "Starting", done: make(chan struct{}),
	}
	spec := k.spec(g, name)
	i.labels = spec.Labels
	ctx, i.cancel = context.WithCancel(ctx)
	k.instances[name] = i
	k.wg.Go(func() {
		defer close(i.done)
		pod, err := k.fleet.create(ctx, spec, func(e engine.Event) { k.note(i, e) })
		if err != nil {
			k.lostBeforeBirth(ctx, i, err)
			return
		}
		k.born(i, pod)
		k.tend(ctx, i)
	})
}

// lostBeforeBirth forgets an instance that could not be made.
func (k *keeper) lostBeforeBirth(ctx context.Context, i *instance, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.instances, i.ID)
	if ctx.Err() == nil {
		k.fail(i.Generation, err.Error())
		k.say("Failed", "instance %s could not be made: %v", i.ID, err)
	}
	k.poke()
}

// fail counts an instance that was lost, and lets the next one wait: the longer
// the more were lost in a short time.
func (k *keeper) fail(generation int, reason string) {
	f := k.failed[generation]
	if time.Since(k.failedAt) > failureMemory {
		f.Times = 0
	}
	k.failedAt = time.Now()
	f.Times, f.Reason = f.Times+1, reason
	k.failed[generation] = f
	k.notBefore = k.failedAt.Add(backOff(f.Times))
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

func (k *keeper) born(i *instance, pod *engine.Pod) {
	told := *pod // the supervisor changes its own
	k.fleet.opts.Made(&told)
	k.mu.Lock()
	defer k.mu.Unlock()
	i.pod, i.ip, i.phase = pod, pod.IP, "Running"
	k.poke()
}

// adopt takes over a pod that an earlier process made.
func (k *keeper) adopt(ctx context.Context, pod *engine.Pod, generation int) {
	i := &instance{
		Instance: rollout.Instance{ID: pod.Name, Generation: generation, Made: pod.Created},
		pod:      pod, ip: pod.IP, phase: "Running", labels: pod.Labels, done: make(chan struct{}),
	}
	spec := pod.Spec()
	i.template = &spec.Spec
	ctx, i.cancel = context.WithCancel(ctx)
	k.instances[pod.Name] = i
	k.wg.Go(func() {
		defer close(i.done)
		k.tend(ctx, i)
	})
}

// tend supervises an instance until it is to be removed, and removes one that
// ended by itself: another takes its place.
func (k *keeper) tend(ctx context.Context, i *instance) {
	err := i.pod.Supervise(ctx, engine.Supervision{
		Events: func(e engine.Event) { k.note(i, e) },
		Ready:  func(ready bool, reason string) { k.setReady(i, ready, reason) },
	})
	if ctx.Err() != nil {
		return // it is being removed, or the fleet ends
	}
	why := "it is gone"
	if err != nil {
		why = err.Error()
	}
	k.mu.Lock()
	i.Ending, i.Ready, i.phase = true, false, "Ending"
	k.fail(i.Generation, "instance "+i.ID+" ended: "+why)
	k.say("Ended", "instance %s ended: %s", i.ID, why)
	k.mu.Unlock()
	k.poke()
	k.dispose(context.WithoutCancel(ctx), i)
}

// setReady notes that an instance became ready or stopped being so.
func (k *keeper) setReady(i *instance, ready bool, reason string) {
	ip := i.ip
	if pod, err := i.pod.Fresh(k.ctx); err == nil && ready {
		ip = pod.IP // another one, if its sandbox had to be made anew
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.fleet.services.update()
	if i.Ready == ready {
		return
	}
	i.ip = ip
	i.Ready, i.message = ready, reason
	i.view, i.starts = view{}, i.starts+1
	switch {
	case ready:
		i.Since, i.phase = time.Now(), "Ready"
		k.lookSoon(i)
	case !i.Ending:
		i.phase = "Running"
	}
	k.poke()
}

// note remembers what happened to an instance.
func (k *keeper) note(i *instance, e engine.Event) {
	k.fleet.opts.Events(e)
	k.mu.Lock()
	defer k.mu.Unlock()
	i.message = e.Message
	if e.Reason == "Started" {
		i.view, i.starts = view{}, i.starts+1
	}
	if e.Reason == "BackOff" || e.Reason == "Failed" {
		i.Crashes, i.Reason, i.phase = i.Crashes+1, e.Message, "Crashed"
		k.poke()
	}
}

// retire takes an instance out of traffic for good, lets what is open on it
// finish, and removes it.
func (k *keeper) retire(i *instance) {
	if i.Ending {
		return
	}
	i.Ending, i.phase = true, "Ending"
	k.wg.Go(func() {
		grace := gracePeriod(i.template)
		ctx, cancel := context.WithTimeout(k.ctx, grace)
		k.fleet.services.drain(ctx, i.ID)
		cancel()
		i.cancel()
		<-i.done
		k.dispose(k.ctx, i)
	})
}

// dispose removes an instance's pod, however often that takes, and forgets it.
func (k *keeper) dispose(ctx context.Context, i *instance) {
	for tries := 1; i.pod != nil; tries++ {
		err := i.pod.Remove(ctx, -1, nil)
		if err == nil {
			break
		}
		if k.ctx.Err() != nil {
			return // whoever opens the engine next finishes it
		}
		if !errors.Is(err, engine.ErrBusy) { // somebody else removes it already
			k.fleet.log(fmt.Errorf("remove instance %s: %w", i.ID, err))
		}
		pause(k.ctx, backOff(tries))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.instances, i.ID)
	k.poke()
}

func gracePeriod(spec *corev1.PodSpec) time.Duration {
	if spec.TerminationGracePeriodSeconds != nil {
		return time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	}
	return 30 * time.Second
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
