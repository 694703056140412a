package local

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
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

// compareLater queues an instance again, for example if a file that was being written
// could not be compared: after a second, or later if the comparison was costly.
func (w *workload) compareLater(i *instance, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.comparesAgain {
		return
	}
	i.comparesAgain = true
	time.AfterFunc(max(time.Second, pauseFactor*took), func() {
		w.mu.Lock()
		i.comparesAgain = false
		w.mu.Unlock()
		w.queueComparison(i)
	})
}

// pauseFactor is the least ratio of the time between two comparisons of an instance to
// the time that the last one took. A container must not choose how much of a processor
// its comparisons use.
const pauseFactor = 10

// comparableInstances returns the instances to compare at a tick. One that
// drifted stays drifted, but is compared for its evidence.
func (w *workload) comparableInstances() []*instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*instance
	for _, i := range w.sorted() {
		if i.pod != nil && i.Ready && !i.Ending && time.Since(i.driftAt) >= pauseFactor*i.driftTook {
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
			w.compare(i, r.Policy)
		}
	}
}

// compareTimeout bounds the comparison of an instance.
const compareTimeout = time.Minute

// compare compares all containers of an instance. Changes below the severity of the
// policy do not count as drift.
func (w *workload) compare(i *instance, policy rollout.Policy) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(w.ctx, compareTimeout)
	defer cancel()
	o, v, found := w.compareOnce(ctx, i, policy)
	if o.verdict == rollout.Drifted && !w.hasDrifted(i) {
		// A container that starts or ends meanwhile can look as if it had drifted.
		w.forgetRoots(i)
		if again, roots, changed := w.compareOnce(ctx, i, policy); again.verdict != rollout.Unknown {
			o, v, found = again, roots, changed
		}
	}
	o.took, o.print = time.Since(began), fingerprint(found, policy.Severity)
	if w.ctx.Err() != nil {
		return
	}
	if o.verdict == rollout.Unknown {
		w.compareLater(i, o.took)
	}
	w.persist(i, &o, policy)
	if o.verdict == rollout.Drifted && w.isNews(i, o) {
		// After setDrift the loop may remove the instance.
		w.saveEvidence(i, v.pod, found)
	}
	w.setDrift(i, o)
}

// compareOnce returns the outcome of one comparison of all containers of an instance.
func (w *workload) compareOnce(ctx context.Context, i *instance, policy rollout.Policy) (o outcome, v roots, found []comparedContainer) {
	o.verdict = rollout.Clean
	v, err := w.findRoots(ctx, i)
	if err != nil || v.lost {
		o.verdict = rollout.Unknown // because of the runtime, not of the container
	}
	for _, c := range v.containers {
		report, err := c.drift(ctx)
		got, counts := verdictOf(report, err, policy.Severity)
		o.verdict, o.changes = o.verdict.Worst(got), o.changes+counts
		if got == rollout.Unknown {
			o.unknown = unknownReason(c.Name, report, err)
		}
		found = append(found, comparedContainer{c.Container, report})
	}
	return o, v, found
}

// hasDrifted reports whether an earlier comparison found drift.
func (w *workload) hasDrifted(i *instance) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return i.Drift == rollout.Drifted
}

// forgetRoots has the next comparison ask the runtime again.
func (w *workload) forgetRoots(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i.roots = roots{}
}

// An outcome is the result of one comparison of an instance.
type outcome struct {
	verdict rollout.Drift
	changes int    // that count as drift
	unknown string // a path that could not be compared, with the reason
	print   string // fingerprint of the changes that count as drift
	took    time.Duration
}

// A comparedContainer is a container with its changes.
type comparedContainer struct {
	*pod.Container
	drift.Report
}

func unknownReason(container string, r drift.Report, err error) string {
	if err == nil && len(r.Unknowns) > 0 {
		err = fmt.Errorf("%s: %w", text.Escape(r.Unknowns[0].Path), r.Unknowns[0].Err)
	}
	return fmt.Sprintf("container %s: %v", container, err)
}

// persist counts the comparisons in a row in which a container could not be compared,
// and turns the outcome into drift if the policy allows no more. Comparisons within one
// interval count once.
func (w *workload) persist(i *instance, o *outcome, policy rollout.Policy) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.unknown == "" {
		if o.verdict == rollout.Clean {
			i.unknowns = 0
		}
		return
	}
	if now := time.Now(); now.Sub(i.unknownAt) >= w.controller.opts.driftEvery {
		i.unknowns, i.unknownAt = i.unknowns+1, now
	}
	if o.verdict == rollout.Unknown && policy.UnknownsExceeded(i.unknowns) {
		o.verdict = rollout.Drifted
	}
}

// isNews reports whether drift is new, or differs from when its evidence was saved. The
// time between two evidences of an instance doubles: a file that a program writes all the
// time must not fill the disk.
func (w *workload) isNews(i *instance, o outcome) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	pause := w.controller.opts.driftEvery << min(i.evidences, 12)
	if i.evidences > 0 && (o.print == i.evidencePrint || time.Since(i.evidenceAt) < pause) {
		return false
	}
	i.evidences, i.evidencePrint, i.evidenceAt = i.evidences+1, o.print, time.Now()
	return true
}

// fingerprint identifies the changes of containers that count as drift.
func fingerprint(found []comparedContainer, least drift.Severity) string {
	h := sha256.New()
	for _, c := range found {
		fmt.Fprintf(h, "%q\n", c.Name)
		for _, ch := range c.Changes {
			if ch.Severity.Compare(least) > 0 {
				continue
			}
			fmt.Fprintf(h, "%s %q %q\n", ch.Kind, ch.Path, ch.Fields)
			if e := ch.Got; e != nil {
				fmt.Fprintf(h, "%o %d %d %d %q %v\n", e.Mode, e.UID, e.GID, e.Size, e.Target, e.ModTime.UnixNano())
			}
		}
		for _, severity := range drift.Severities() {
			fmt.Fprintln(h, c.Omitted[severity])
		}
	}
	return string(h.Sum(nil))
}

// roots caches where the containers of an instance keep their changes. Asking the
// runtime costs far more than a comparison. It is valid until a container restarts.
type roots struct {
	pod        *pod.Pod
	containers []containerRoot
	lost       bool // a container that should run is gone from the runtime
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
		r, err := inspect.Overlay(ctx, *c.mount)
		if err != nil || c.PID == 0 {
			return r, err
		}
		return r.Merge(inspect.Live(ctx, c.PID, c.ID)), nil
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
			v.lost = v.lost || !c.Init && c.ID == ""
			continue
		}
		if m, err := p.Overlay(ctx, c.Container); err == nil {
			c.mount = &m
		}
		v.containers = append(v.containers, c)
	}
	if v.lost = v.lost || p.Phase == pod.Lost; v.lost {
		return v, nil // asked again by the next comparison
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
	for severity, count := range r.Counts() {
		if severity.Compare(least) <= 0 {
			n += count
		}
	}
	switch {
	// A change that was found counts even if the comparison is incomplete.
	case n > 0:
		return rollout.Drifted, n
	case err != nil || r.UnknownLen() > 0:
		return rollout.Unknown, 0
	}
	return rollout.Clean, 0
}

// setDrift stores an outcome and wakes the loop if the verdict is a new one.
func (w *workload) setDrift(i *instance, o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i.Ending {
		return
	}
	i.driftAt, i.driftTook = time.Now(), o.took
	if i.Drift == rollout.Drifted && o.verdict != rollout.Drifted {
		return // one that drifted stays drifted, whatever it has undone
	}
	isNew := i.Drift != o.verdict
	w.controller.drift.count(isNew, o)
	w.count(func(n *Counts) { n.countDrift(isNew, o) })
	grew := !isNew && o.verdict == rollout.Drifted && o.changes > i.changes
	if !isNew && !grew {
		return
	}
	i.Drift, i.changes = o.verdict, o.changes
	switch {
	case grew:
		w.recordInstanceEvent(i, "Drifted", "instance %s now differs from its image in %d places; evidence is in %s", i.ID, o.changes, i.evidence)
	case o.verdict == rollout.Drifted && o.changes == 0:
		w.controller.log(fmt.Errorf("instance %s could not be compared %d times in a row, which counts as drift: %s", i.ID, i.unknowns, o.unknown))
		w.recordInstanceEvent(i, "Drifted", "instance %s could not be compared %d times in a row, which counts as drift: %s; evidence is in %s", i.ID, i.unknowns, o.unknown, i.evidence)
	case o.verdict == rollout.Drifted:
		w.recordInstanceEvent(i, "Drifted", "instance %s differs from its image in %d places; evidence is in %s", i.ID, o.changes, i.evidence)
	}
	if isNew {
		w.notify()
	}
}

// DriftCounts are the numbers of results of comparisons since the controller was opened.
type DriftCounts struct {
	Unknown   int // comparisons that left something unknown
	Drifted   int // instances that changed
	Escalated int // instances that drifted because they could not be compared
}

// driftCounters count for DriftCounts.
type driftCounters struct{ unknown, drifted, escalated atomic.Int64 }

// DriftCounts returns the counts so far.
func (c *Controller) DriftCounts() DriftCounts {
	return DriftCounts{int(c.drift.unknown.Load()), int(c.drift.drifted.Load()), int(c.drift.escalated.Load())}
}

func (c *driftCounters) count(isNew bool, o outcome) {
	if o.unknown != "" || o.verdict == rollout.Unknown {
		c.unknown.Add(1)
	}
	switch {
	case !isNew || o.verdict != rollout.Drifted:
	case o.changes == 0:
		c.escalated.Add(1)
	default:
		c.drifted.Add(1)
	}
}
