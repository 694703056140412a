package local

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// driftEvery is the interval at which each instance is compared with its image,
// in addition to when it becomes ready. A comparison costs a fraction of a
// millisecond.
const driftEvery = 10 * time.Second

// watchDrift compares instances with their images, one after the other, until
// the workload ends.
func (w *workload) watchDrift() {
	ticker := time.NewTicker(w.controller.opts.driftEvery)
	defer ticker.Stop()
	for !w.isDeleted() {
		select {
		case <-w.ctx.Done():
			return
		case i := <-w.toCompare:
			w.compareAll([]*instance{i})
		case <-ticker.C:
			w.compareAll(w.comparableInstances())
		}
	}
}

// queueComparison queues an instance for comparison.
func (w *workload) queueComparison(i *instance) {
	select {
	case w.toCompare <- i:
	default: // the queue is full; the next tick compares all instances
	}
}

// isCurrent reports whether an instance still exists and is not ending.
func (w *workload) isCurrent(i *instance) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.instances[i.ID] == i && !i.Ending
}

// compareLater queues an instance again after a second, for example if a file that
// was being written could not be compared.
func (w *workload) compareLater(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.comparesAgain {
		return
	}
	i.comparesAgain = true
	time.AfterFunc(time.Second, func() {
		w.mu.Lock()
		i.comparesAgain = false
		w.mu.Unlock()
		w.queueComparison(i)
	})
}

// comparableInstances returns the instances to compare at a tick. One that
// drifted stays drifted.
func (w *workload) comparableInstances() []*instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*instance
	for _, i := range w.sorted() {
		if i.pod != nil && i.Ready && !i.Ending && i.Drift != rollout.Drifted {
			list = append(list, i)
		}
	}
	return list
}

// compareAll compares instances by the current policy.
func (w *workload) compareAll(list []*instance) {
	r, err := w.controller.record(w.key)
	if err != nil {
		w.controller.log(err)
		return
	}
	for _, i := range list {
		if w.isCurrent(i) {
			w.compare(i, r.Policy.Severity)
		}
	}
}

// compare compares all containers of an instance. Changes below the severity
// least do not count as drift.
func (w *workload) compare(i *instance, least drift.Severity) {
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	verdict, changes := rollout.Clean, 0
	v, err := w.findRoots(ctx, i)
	if err != nil {
		verdict = rollout.Unknown
	}
	for _, c := range v.containers {
		report, err := c.drift(ctx)
		got, counts := verdictOf(report, err, least)
		if got == rollout.Drifted && changes == 0 {
			// After setDrift the loop may remove the instance.
			w.saveEvidence(ctx, i, v.pod, c.Container, report)
		}
		verdict, changes = verdict.Worst(got), changes+counts
	}
	if verdict == rollout.Unknown {
		w.compareLater(i)
	}
	w.setDrift(i, verdict, changes)
}

// roots caches where the containers of an instance keep their changes. Asking the
// runtime costs far more than a comparison. It is valid until a container restarts.
type roots struct {
	pod        *pod.Pod
	containers []containerRoot
}

// A containerRoot is compared by the upper directory of its overlay or, if it
// has none, file by file.
type containerRoot struct {
	*pod.Container
	pod   *pod.Pod
	mount *overlay.Mount
}

func (c containerRoot) drift(ctx context.Context) (drift.Report, error) {
	if c.mount != nil {
		return inspect.Overlay(ctx, *c.mount)
	}
	return c.pod.Drift(ctx, c.Container)
}

// findRoots returns the roots of an instance from the cache or the runtime.
func (w *workload) findRoots(ctx context.Context, i *instance) (roots, error) {
	w.mu.Lock()
	v, starts := i.roots, i.rootsVersion
	w.mu.Unlock()
	if v.pod != nil {
		return v, nil
	}
	p, err := i.pod.Fresh(ctx)
	if err != nil {
		return roots{}, err
	}
	v.pod = p
	for n := range p.Containers {
		c := containerRoot{Container: &p.Containers[n], pod: p}
		if c.State != pod.Started {
			continue
		}
		if m, err := p.Overlay(ctx, c.Container); err == nil {
			c.mount = &m
		}
		v.containers = append(v.containers, c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// A container may have restarted while the runtime was being asked. The
	// next comparison asks again.
	if i.rootsVersion == starts {
		i.roots = v
	}
	return v, nil
}

// verdictOf returns the verdict of a report and how many of its changes are at
// least as severe as least.
func verdictOf(r drift.Report, err error, least drift.Severity) (rollout.Drift, int) {
	n := 0
	for _, ch := range r.Changes {
		if ch.Severity.Compare(least) <= 0 {
			n++
		}
	}
	switch {
	// A change that was found counts even if the comparison is incomplete.
	case n > 0:
		return rollout.Drifted, n
	case err != nil || len(r.Unknowns) > 0:
		return rollout.Unknown, 0
	}
	return rollout.Clean, 0
}

// setDrift stores a verdict and wakes the loop if it is a new one.
func (w *workload) setDrift(i *instance, verdict rollout.Drift, changes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.Ending {
		return
	}
	i.driftAt = time.Now()
	if i.Drift == verdict {
		return
	}
	i.Drift, i.changes = verdict, changes
	if verdict == rollout.Drifted {
		w.recordEvent("Drifted", "instance %s differs from its image in %d places; evidence is in %s", i.ID, changes, i.evidence)
	}
	w.notify()
}
