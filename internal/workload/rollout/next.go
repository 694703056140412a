package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Next makes one decision: it returns the state that follows from s and o, and
// the decision for the driver. Without a target it decides nothing.
func Next(spec Spec, s State, o Observation, now time.Time) (State, Decision) {
	r := newReconciler(spec, s, o, now)
	if r.s.Target == 0 {
		return r.s, r.d
	}
	// A failure is handled first: the decision below is then already that of
	// the way back, which must not wait for another observation.
	if r.s.Phase == Progressing && !r.paused() && !r.returning() {
		if why := r.failureReason(); why != "" {
			r.abort(why)
		}
	}
	r.updateProgress()
	if spec.Ordinals != nil {
		r.ordered()
	} else {
		r.follow(r.plan())
	}
	return r.s, r.d
}

// A reconciler is one call of Next: its arguments and the decision so far.
type reconciler struct {
	spec Spec // with the number of replicas that are not withheld
	s    State
	o    Observation
	now  time.Time
	d    Decision

	target, others         []Instance // without those that are ending; others are of all other generations
	drifted                []Instance // those that are replaced for drift
	maxTotal, minAvailable int        // bounds of the number of instances
}

func newReconciler(spec Spec, s State, o Observation, now time.Time) *reconciler {
	if spec.Ordinals == nil { // otherwise Assigned has those that are withheld
		spec.Replicas = max(spec.Replicas-s.Withheld, 0)
	}
	r := &reconciler{spec: spec, s: s, o: o, now: now}
	r.d.Create = map[int]int{}
	r.maxTotal, r.minAvailable = spec.limits()
	r.classify()
	r.s.Wanted = maps.Clone(s.Wanted)
	if r.s.Wanted == nil {
		r.s.Wanted = r.live() // stored by a version that did not keep it, or the first call
	}
	for g := range r.live() {
		r.s.Wanted[g] += 0 // follow looks at every generation that has instances
	}
	return r
}

// classify separates the target's instances from all others.
func (r *reconciler) classify() {
	r.target, r.others = make([]Instance, 0, len(r.o.Instances)), nil
	for _, i := range r.o.Instances {
		switch {
		case i.Ending:
		case i.Generation == r.s.Target:
			r.target = append(r.target, i)
		default:
			r.others = append(r.others, i)
		}
	}
}

// live returns the number of instances by generation, without those that are ending or
// being replaced for drift.
func (r *reconciler) live() map[int]int {
	n := map[int]int{}
	for _, list := range [][]Instance{r.target, r.others} {
		for _, i := range without(list, r.drifted) {
			n[i.Generation]++
		}
	}
	return n
}

// returning reports whether the target is a generation that ran before this rollout
// began and is being restored: after a failure, or because a user asked for it while
// another was being tried. It repeats no step, gate or pause.
func (r *reconciler) returning() bool {
	return r.s.Phase == RollingBack || r.s.Phase == Progressing && r.s.Target == r.s.Stable
}

// paused reports whether a user holds the rollout. Nothing holds a return.
func (r *reconciler) paused() bool {
	return r.s.Paused && r.s.Phase == Progressing && !r.returning()
}

// trying reports whether the target is being tried while another generation runs.
func (r *reconciler) trying() bool {
	return r.s.Phase == Progressing && r.s.Stable != 0 && r.s.Stable != r.s.Target
}

// isAvailable reports whether an instance has been ready for Spec.MinReady, as
// Kubernetes defines it for pods.
func (r *reconciler) isAvailable(i Instance) bool {
	if !i.Ready {
		return false
	}
	due := i.ReadySince.Add(r.spec.MinReady)
	if due.After(r.now) && !i.ReadySince.After(r.now) { // unless the clock was set back
		r.wakeAt(due)
		return false
	}
	return true
}

// isProven reports whether an instance is available and compared clean with its
// image. During a rollout an old instance is removed only for a proven new one.
func (r *reconciler) isProven(i Instance) bool {
	return r.isAvailable(i) && (i.Drift == Clean || r.spec.OnDrift == Report)
}

func (r *reconciler) count(list []Instance, is func(Instance) bool) int {
	n := 0
	for _, i := range list {
		if is(i) {
			n++
		}
	}
	return n
}

// wakeAt asks for another call of Next at a time.
func (r *reconciler) wakeAt(t time.Time) {
	if r.d.Wake.IsZero() || t.Before(r.d.Wake) {
		r.d.Wake = t
	}
}

func (r *reconciler) event(reason, format string, args ...any) {
	r.d.Events = append(r.d.Events, Event{reason, fmt.Sprintf(format, args...)})
}

// failureReason returns why the target has failed, empty if it has not.
func (r *reconciler) failureReason() string {
	if f := r.o.Failed[r.s.Target]; f.Times >= r.spec.crashLimit() {
		return fmt.Sprintf("an instance could not be made, %d times: %s", f.Times, f.Reason)
	}
	for _, i := range r.target {
		if i.Drift == Drifted && r.spec.OnDrift != Report {
			return fmt.Sprintf("instance %s drifted from its image", i.ID)
		}
	}
	if why := r.crashReason(); why != "" {
		return why
	}
	if r.o.Fault != "" {
		return r.o.Fault
	}
	// The result of an earlier gate must not fail this step.
	if g := r.o.Gate; g.Done && g.Reason != "" && g.Gate == r.gateName() {
		return fmt.Sprintf("gate %s: %s", g.Gate, g.Reason)
	}
	if r.s.Undecided != "" && r.spec.OnInconclusive == Fail {
		return "inconclusive: " + r.s.Undecided
	}
	if due := r.deadline(); !due.IsZero() && !r.now.Before(due) {
		return r.deadlineReason()
	}
	return ""
}

// crashReason returns why the target has failed if its instances crashed too often.
func (r *reconciler) crashReason() string {
	sum, most, last := 0, 0, ""
	for _, i := range r.target {
		n := r.spec.crashes(i, r.now)
		if n == 0 {
			continue
		}
		sum, most, last = sum+n, max(most, n), i.Reason
		if n >= Fatal {
			return fmt.Sprintf("instance %s cannot start: %s", i.ID, i.Reason)
		}
	}
	// Many instances that crashed once are not a crash loop: each was restarted at
	// once, and may run now.
	if sum < r.spec.crashLimit() || most < backedOff {
		return ""
	}
	return fmt.Sprintf("its instances crashed, %d times: %s", sum, last)
}

// deadline returns when the rollout fails for lack of progress, zero if never.
// A pause does not count as a lack of progress.
func (r *reconciler) deadline() time.Time {
	if r.spec.Deadline <= 0 || r.paused() || !r.returning() && (!r.s.Held.IsZero() || !r.s.Switched.IsZero()) {
		return time.Time{}
	}
	due := r.s.Progress.Add(r.spec.Deadline)
	r.wakeAt(due)
	return due
}

func (r *reconciler) deadlineReason() string {
	why := fmt.Sprintf("no progress for %s: %d of %d instances available", r.spec.Deadline, r.count(r.target, r.isProven), r.spec.Replicas)
	for _, i := range r.target {
		switch {
		case i.Crashes > 0:
			return fmt.Sprintf("%s; instance %s crashed, %d times: %s", why, i.ID, i.Crashes, i.Reason)
		case i.Reason != "":
			return why + "; " + i.Reason
		case i.Drift == Unknown && r.spec.OnDrift != Report:
			return why + "; instance " + i.ID + " could not be compared with its image"
		}
	}
	return why
}

// abort gives up the target and rolls back to the stable generation. Without
// one the rollout has failed and the target's instances stay.
func (r *reconciler) abort(why string) {
	failed := r.s.Target
	r.s.Reason = fmt.Sprintf("generation %d: %s", failed, why)
	if r.s.Stable == 0 || r.s.Stable == failed {
		r.s.Phase = Failed
		r.event("Failed", "%s; there is no earlier generation to go back to", r.s.Reason)
		return
	}
	// No step, pause or gate of the failed rollout applies to the rollback.
	// Replaced stays: the budget is for a period of time.
	r.s = State{
		Target: r.s.Stable, Stable: r.s.Stable, From: failed, Phase: RollingBack, Reason: r.s.Reason,
		Began: r.s.Began, Progress: r.now, Replaced: r.s.Replaced, Withheld: r.s.Withheld, Wanted: r.s.Wanted,
		Assigned: r.s.Assigned,
	}
	r.classify()
	r.event("RollingBack", "%s; going back to generation %d", r.s.Reason, r.s.Target)
}

// updateProgress extends the deadline whenever the target has more available
// instances than before. A return has a deadline too, after which the target is only
// maintained.
func (r *reconciler) updateProgress() {
	if r.paused() {
		r.s.Progress = r.now // the time in which a user holds the rollout does not count
	}
	if n := r.count(r.target, r.isAvailable); n > r.s.Best {
		r.s.Best, r.s.Progress = n, r.now
	}
	if !r.returning() {
		return
	}
	if due := r.deadline(); !due.IsZero() && !r.now.Before(due) {
		why := fmt.Sprintf("going back to generation %d made no progress for %s", r.s.Target, r.spec.Deadline)
		if r.s.Reason != "" {
			why = r.s.Reason + "; " + why + " either"
		}
		r.s.Phase, r.s.Reason = Failed, why
		r.event("Failed", "%s", why)
	}
}

// complete ends a rollout.
func (r *reconciler) complete() {
	if r.s.Phase == RollingBack {
		r.s.Phase = RolledBack
		r.event("RolledBack", "generation %d runs again: %s", r.s.Target, r.s.Reason)
	} else {
		r.s.Phase, r.s.Reason = Complete, ""
		r.event("Complete", "generation %d runs with %d instances", r.s.Target, r.spec.Replicas)
	}
	r.s.Stable = r.s.Target
	r.s.Step, r.s.Held, r.s.Switched, r.s.Resumed, r.s.Passed, r.s.Undecided = 0, time.Time{}, time.Time{}, false, "", ""
}

// removalOrder sorts instances by how little they are missed: first those that
// are not ready, then those that drifted, that are of a generation that never
// completed its rollout, that crashed most, and that are youngest.
func (r *reconciler) removalOrder(list []Instance) []Instance {
	rank := func(i Instance) int {
		switch {
		case !i.Ready:
			return 0
		case i.Drift == Drifted:
			return 1
		case i.Generation != r.s.Target && i.Generation != r.s.Stable:
			return 2
		case !r.isAvailable(i):
			return 3
		}
		return 4
	}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Crashes, a.Crashes), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return sorted
}
