package local

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	engine "github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// driftEvery is how often each instance is compared with its image, beside the
// moment when it gets ready. A look costs a fraction of a millisecond.
const driftEvery = 10 * time.Second

// watchDrift compares instances with their images, one after the other, until
// the fleet ends.
func (k *keeper) watchDrift() {
	ticker := time.NewTicker(k.fleet.opts.driftEvery)
	defer ticker.Stop()
	for !k.isDeleted() {
		select {
		case <-k.ctx.Done():
			return
		case i := <-k.check:
			k.compareAll([]*instance{i})
		case <-ticker.C:
			k.compareAll(k.comparable())
		}
	}
}

// lookSoon has an instance compared as soon as nothing else is.
func (k *keeper) lookSoon(i *instance) {
	select {
	case k.check <- i:
	default: // the next round comes by
	}
}

// stays reports whether an instance is there, and to stay.
func (k *keeper) stays(i *instance) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.instances[i.ID] == i && !i.Ending
}

// lookAgain has an instance compared once more in a moment, when it may not be
// written to any more.
func (k *keeper) lookAgain(i *instance) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i.again {
		return
	}
	i.again = true
	time.AfterFunc(time.Second, func() {
		k.mu.Lock()
		i.again = false
		k.mu.Unlock()
		k.lookSoon(i)
	})
}

// comparable are the instances that are to be compared now.
func (k *keeper) comparable() []*instance {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*instance
	for _, i := range k.sorted() {
		if i.pod != nil && i.Ready && !i.Ending && i.Drift != rollout.Drifted {
			list = append(list, i)
		}
	}
	return list
}

// compareAll looks at instances by the policy of now.
func (k *keeper) compareAll(list []*instance) {
	r, err := k.record()
	if err != nil {
		k.fleet.log(err)
		return
	}
	for _, i := range list {
		if k.stays(i) {
			k.compare(i, r.Policy.Severity)
		}
	}
}

// compare looks at all containers of an instance for changes that are at least
// so severe.
func (k *keeper) compare(i *instance, least drift.Severity) {
	ctx, cancel := context.WithTimeout(k.ctx, time.Minute)
	defer cancel()
	verdict, changes := rollout.Clean, 0
	v, err := k.viewOf(ctx, i)
	if err != nil {
		verdict = rollout.Unknown
	}
	for _, c := range v.containers {
		report, err := c.drift(ctx)
		got, counts := judge(report, err, least)
		if got == rollout.Drifted && changes == 0 {
			k.keepEvidence(ctx, i, v.pod, c.Container, report)
		}
		verdict, changes = worse(verdict, got), changes+counts
	}
	if verdict == rollout.Unknown {
		k.lookAgain(i)
	}
	k.noteDrift(i, verdict, changes)
}

// A view is where an instance's containers keep what they change. It holds for
// as long as none of them is started again, and spares the runtime questions.
type view struct {
	pod        *engine.Pod
	containers []viewed
}

// A viewed container is compared by its overlay or, where it has none, as a
// whole.
type viewed struct {
	*engine.Container
	pod   *engine.Pod
	mount *overlay.Mount
}

func (c viewed) drift(ctx context.Context) (drift.Report, error) {
	if c.mount != nil {
		return overlay.Drift(ctx, *c.mount)
	}
	return c.pod.Drift(ctx, c.Container)
}

// viewOf finds out once where an instance keeps its changes.
func (k *keeper) viewOf(ctx context.Context, i *instance) (view, error) {
	k.mu.Lock()
	v, starts := i.view, i.starts
	k.mu.Unlock()
	if v.pod != nil {
		return v, nil
	}
	pod, err := i.pod.Fresh(ctx)
	if err != nil {
		return view{}, err
	}
	v.pod = pod
	for n := range pod.Containers {
		c := viewed{Container: &pod.Containers[n], pod: pod}
		if c.State != engine.Started {
			continue
		}
		if m, err := pod.Overlay(ctx, c.Container); err == nil {
			c.mount = &m
		}
		v.containers = append(v.containers, c)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if i.starts == starts {
		i.view = v
	}
	return v, nil
}

// judge is what a report means: how many of its changes are severe enough.
func judge(r drift.Report, err error, least drift.Severity) (rollout.Drift, int) {
	n := 0
	for _, ch := range r.Changes {
		if ch.Severity.Compare(least) <= 0 {
			n++
		}
	}
	switch {
	case n > 0:
		return rollout.Drifted, n
	case err != nil || len(r.Unknowns) > 0:
		return rollout.Unknown, 0
	}
	return rollout.Clean, 0
}

// worse is the verdict on two containers.
func worse(a, b rollout.Drift) rollout.Drift {
	for _, v := range []rollout.Drift{rollout.Drifted, rollout.Unknown} {
		if a == v || b == v {
			return v
		}
	}
	return rollout.Clean
}

// noteDrift keeps a verdict; a new one lets the loop look.
func (k *keeper) noteDrift(i *instance, verdict rollout.Drift, changes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i.Ending {
		return
	}
	i.driftAt = time.Now()
	if i.Drift == verdict {
		return
	}
	i.Drift, i.changes = verdict, changes
	if verdict == rollout.Drifted {
		k.say("Drifted", "instance %s differs from its image in %d places; evidence is in %s", i.ID, changes, i.evidence)
	}
	k.poke()
}
