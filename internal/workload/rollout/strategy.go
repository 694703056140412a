package rollout

import (
	"fmt"
	"time"
)

// advance takes a rollout, or a rollback, as far as the limits allow now.
func (r *reconciler) advance() {
	back := r.s.Phase == RollingBack
	switch {
	case r.spec.Kind == Recreate:
		r.recreate()
	case back:
		r.rollBack()
	case r.spec.Kind == BlueGreen && r.s.Stable != 0:
		r.blueGreen()
	case r.spec.Kind == Canary && r.s.Stable != 0 && r.s.Step < len(r.spec.Steps):
		r.canary()
	default:
		r.rolling()
	}
	if !r.s.Phase.Ended() {
		r.splitTraffic()
	}
}

// rolling replaces instance by instance. Gates are run twice, for the first new
// instances and for all of them: the first run protects the old instances, the
// second covers instances that the first did not see.
func (r *reconciler) rolling() {
	if r.s.Passed == "" && r.s.Stable != 0 && r.spec.Replicas > 0 && r.spec.Gated {
		keep := min(len(r.others), r.spec.Replicas)
		if r.maxTotal == r.spec.Replicas {
			keep = min(keep, r.minAvailable) // without surge a new instance needs the place of an old one
		}
		r.converge(r.spec.Replicas, keep, r.maxTotal)
		if r.count(r.target, r.isProven) > 0 {
			r.askGate("first")
		}
		return
	}
	r.replace(r.maxTotal)
}

// rollBack restores the capacity of the previous generation. It creates all
// instances at once if surge allows two generations side by side: the failed
// instances serve no requests.
func (r *reconciler) rollBack() {
	most := r.maxTotal
	if most > r.spec.Replicas {
		most = max(most, r.spec.Replicas+len(r.others))
	}
	r.replace(most)
}

// replace converges on the target alone and completes the rollout once it is
// reached.
func (r *reconciler) replace(most int) {
	n := r.spec.Replicas
	r.converge(n, 0, most)
	if len(r.others) == 0 && len(r.target) == n && r.count(r.target, r.isAcceptable) == n && r.gatePassed("last") {
		r.complete()
		r.maintain()
	}
}

// converge creates and removes instances towards two numbers as far as the
// limits allow: the total never exceeds maxTotal, and no available instance is
// removed below minAvailable.
func (r *reconciler) converge(wantTarget, wantOthers, most int) {
	live := len(r.target) + len(r.others)
	if n := min(wantTarget-len(r.target), most-live); n > 0 {
		r.d.Create[r.s.Target] = n
	}
	proven := r.count(r.target, r.isAcceptable)
	available := r.count(r.others, r.isAvailable) + proven
	if proven == 0 && most > r.spec.Replicas {
		wantOthers = max(wantOthers, r.spec.Replicas) // the first new instance must prove itself before an old one is removed
	}
	excess := len(r.others) - wantOthers
	for _, i := range r.removalOrder(r.others) {
		if excess <= 0 {
			break
		}
		if r.canRemove(i, &available, r.minAvailable) {
			r.remove(i)
			excess--
		}
	}
	r.removeExcess(r.target, wantTarget, available)
}

// canRemove reports whether an instance can be removed while at least least
// instances stay available, and subtracts it from available if it was one of
// those. An instance that is ready but not available yet stays while there are
// too few.
func (r *reconciler) canRemove(i Instance, available *int, least int) bool {
	if !r.isAvailable(i) {
		return !i.Ready || *available >= least
	}
	if *available-1 < least {
		return false
	}
	*available--
	return true
}

// isAcceptable reports whether an instance of the target counts. A rollback
// accepts unproven instances: their generation was proven before.
func (r *reconciler) isAcceptable(i Instance) bool {
	if r.s.Phase == RollingBack {
		return r.isAvailable(i)
	}
	return r.isProven(i)
}

// removeExcess removes instances of the target beyond the wanted number.
func (r *reconciler) removeExcess(list []Instance, want, available int) {
	excess := len(list) - want
	for _, i := range r.removalOrder(list) {
		if excess > 0 && r.canRemove(i, &available, min(r.minAvailable, want)) {
			r.remove(i)
			excess--
		}
	}
}

func (r *reconciler) remove(i Instance) { r.d.Remove = append(r.d.Remove, i.ID) }

// recreate removes all old instances before it creates a new one.
func (r *reconciler) recreate() {
	for _, i := range r.others {
		r.remove(i)
	}
	for _, i := range r.o.Instances {
		if i.Generation != r.s.Target {
			return // one of them still exists, perhaps ending
		}
	}
	r.replace(r.spec.Replicas)
}

// canary gives the target one share of the traffic after the other.
func (r *reconciler) canary() {
	step := r.spec.Steps[r.s.Step]
	want := canaries(r.spec.Replicas, step.Share)
	keep := r.spec.Replicas - want
	// The stable generation serves the rest of the traffic, even if the
	// workload has only one replica.
	if step.Share < 100 {
		keep = max(keep, min(1, r.spec.Replicas))
	}
	r.converge(want, keep, max(r.maxTotal, want+keep))
	if r.count(r.target, r.isProven) < want {
		r.restartPause()
		return
	}
	if r.s.Held.IsZero() {
		r.s.Held = r.now
		r.event("Step", "step %d: generation %d gets %d%% of the traffic", r.s.Step+1, r.s.Target, step.Share)
	}
	if !r.pauseEnded(step.ByHand, step.Pause) || !r.gatePassed(r.stepName()) {
		return
	}
	// The next step begins at once: there may be no change of an instance that
	// wakes the loop.
	r.s.Step, r.s.Held, r.s.Resumed, r.s.Progress = r.s.Step+1, time.Time{}, false, r.now
	r.wakeAt(r.now)
}

func (r *reconciler) stepName() string { return fmt.Sprintf("step-%d", r.s.Step+1) }

// blueGreen creates all instances of the target beside the others, moves the
// traffic at once, and keeps the others for a while so that a rollback is
// immediate.
func (r *reconciler) blueGreen() {
	n := r.spec.Replicas
	if r.s.Switched.IsZero() {
		r.converge(n, min(len(r.others), n), max(r.maxTotal, 2*n))
		if r.count(r.target, r.isProven) < n {
			r.restartPause()
			return
		}
		if r.s.Held.IsZero() {
			r.s.Held = r.now
		}
		if !r.pauseEnded(r.spec.ByHand, 0) || !r.gatePassed("switch") {
			return
		}
		r.s.Switched, r.s.Resumed = r.now, false
		r.event("Promoted", "all traffic goes to generation %d", r.s.Target)
	}
	due := r.s.Switched.Add(r.spec.Hold)
	if due.After(r.now) {
		r.wakeAt(due)
		return
	}
	r.replace(n + len(r.others))
}

// restartPause ends a pause whose instances were lost. The deadline runs again.
func (r *reconciler) restartPause() {
	if !r.s.Held.IsZero() {
		r.s.Held, r.s.Progress = time.Time{}, r.now
	}
}

// pauseEnded reports whether a pause that began at Held has ended.
func (r *reconciler) pauseEnded(byHand bool, pause time.Duration) bool {
	if r.s.Resumed {
		return true
	}
	due := r.s.Held.Add(pause)
	if !byHand && due.After(r.now) {
		r.wakeAt(due)
	}
	return !byHand && !due.After(r.now)
}

// gateName returns the gate before the rollout's next move.
func (r *reconciler) gateName() string {
	switch {
	case r.spec.Kind == Canary && r.s.Stable != 0 && r.s.Step < len(r.spec.Steps):
		return r.stepName()
	case r.spec.Kind == BlueGreen && r.s.Stable != 0 && r.s.Switched.IsZero():
		return "switch"
	case r.spec.Kind == RollingUpdate && r.s.Stable != 0 && r.spec.Replicas > 0 && r.s.Passed == "":
		return "first"
	}
	return "last"
}

// askGate reports whether a gate has passed, and asks the driver to run it if
// not.
func (r *reconciler) askGate(name string) bool {
	if g := r.o.Gate; g.Gate == name && g.Done && g.Reason == "" {
		r.s.Passed, r.s.Progress = name, r.now
		r.wakeAt(r.now)
		return true
	}
	r.d.Gate = name
	return false
}

// gatePassed reports whether a gate has passed. A rollback has no gates: its
// generation passed them before.
func (r *reconciler) gatePassed(name string) bool {
	if !r.spec.Gated || r.s.Phase == RollingBack || r.s.Passed == name {
		return true
	}
	return r.askGate(name)
}
