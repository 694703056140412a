package rollout

import (
	"fmt"
	"slices"
	"time"
)

// A plan is what is wanted now of the target and of all other generations, which one
// function carries out in every phase.
type plan struct {
	target, others int
	// most bounds the number of instances.
	most int
	// holds is set if the others serve, or are needed for an immediate return: lost
	// ones come back, and their number follows that of the replicas. Otherwise the
	// target takes their place.
	holds bool
	// atOnce is set if the others are removed without waiting for the target.
	atOnce bool
}

// plan returns what is wanted now. It moves the rollout on, and ends it.
func (r *reconciler) plan() plan {
	n := r.spec.Replicas
	switch {
	case r.s.Phase.Ended():
		return r.settled()
	case r.paused():
		return r.held()
	case r.spec.Kind == Recreate:
		return r.recreate()
	case r.returning():
		// All instances are created at once if surge allows two generations side
		// by side: those that are given up serve no requests. There may be several of
		// those, if one overtook the other.
		most := r.maxTotal
		if most > n {
			most = max(most, min(n+len(r.others), 2*most))
		}
		return r.replace(most)
	case r.spec.Kind == BlueGreen && r.trying():
		return r.blueGreen()
	case r.spec.Kind == Canary && r.trying() && r.s.Step < len(r.spec.Steps):
		return r.canary()
	}
	return r.rolling()
}

// settled is the plan while no rollout is under way.
func (r *reconciler) settled() plan {
	if r.spec.Kind == Recreate && r.othersExist() { // a rollout failed before it removed them
		return plan{others: r.wantedOthers(), most: r.maxTotal, holds: true}
	}
	return plan{target: r.spec.Replicas, most: r.maxTotal}
}

// held is the plan while a user holds a rollout: both generations keep their numbers.
// More replicas are added to the generation that runs, fewer are taken from the target.
func (r *reconciler) held() plan {
	n := r.spec.Replicas
	target := r.s.Wanted[r.s.Target]
	p := plan{target: target, others: r.wantedOthers(), holds: true}
	if r.spec.Kind == Recreate { // only one generation has instances
		if p.others == 0 {
			return r.settled()
		}
		return plan{others: n, most: r.maxTotal, holds: true}
	}
	p.most = max(r.maxTotal, p.target+p.others)
	switch {
	case r.s.Stable == 0 && p.others == 0:
		p.target, p.most = n, r.maxTotal
	case p.target+p.others < n:
		p.others = n - p.target
	case p.target+p.others > r.maxTotal:
		p.target = max(min(target, r.maxTotal-p.others), 0)
		p.others = min(p.others, r.maxTotal)
	}
	return p
}

// rolling replaces instance by instance. Gates are run twice, for the first new
// instances and for all of them: the first run protects the old instances, the
// second covers instances that the first did not see.
func (r *reconciler) rolling() plan {
	n := r.spec.Replicas
	if r.s.Passed != "" || !r.trying() || n == 0 || !r.spec.Gated {
		return r.replace(r.maxTotal)
	}
	if r.count(r.target, r.isProven) > 0 && r.trafficJudged("first") && r.gatePassed("first") {
		r.s.Held, r.s.Resumed = time.Time{}, false
	}
	keep := n
	if r.maxTotal == n {
		keep = r.minAvailable // without surge a new instance needs the place of an old one
	}
	return plan{target: n, others: keep, most: r.maxTotal, holds: true}
}

// replace is the plan to replace the others, as the limits allow, and completes the
// rollout once that is done.
func (r *reconciler) replace(most int) plan {
	n := r.spec.Replicas
	if len(r.others) == 0 && len(r.target) == n && r.count(r.target, r.isAcceptable) == n && r.gatePassed("last") {
		r.complete()
		return r.settled()
	}
	return plan{target: n, most: most}
}

// isAcceptable reports whether an instance of the target counts. A return accepts
// unproven instances: their generation was proven before.
func (r *reconciler) isAcceptable(i Instance) bool {
	if r.returning() || r.s.Phase.Ended() {
		return r.isAvailable(i)
	}
	return r.isProven(i)
}

// recreate removes all old instances before it creates a new one.
func (r *reconciler) recreate() plan {
	if r.othersExist() {
		return plan{most: r.maxTotal, atOnce: true}
	}
	p := r.replace(r.spec.Replicas)
	p.atOnce = true
	return p
}

// othersExist reports whether there are instances of other generations than the target,
// perhaps ending.
func (r *reconciler) othersExist() bool {
	return slices.ContainsFunc(r.o.Instances, func(i Instance) bool { return i.Generation != r.s.Target })
}

// canary gives the target one share of the traffic after the other.
func (r *reconciler) canary() plan {
	step := r.spec.Steps[r.s.Step]
	want := canaries(r.spec.Replicas, step.Share)
	keep := r.spec.Replicas - want
	// The stable generation serves the rest of the traffic, even if the
	// workload has only one replica.
	if step.Share < 100 {
		keep = max(keep, min(1, r.spec.Replicas))
	}
	p := plan{target: want, others: keep, most: max(r.maxTotal, want+keep), holds: true}
	if r.count(r.target, r.isProven) < want {
		r.restartPause()
		return p
	}
	if r.s.Held.IsZero() {
		r.s.Held = r.now
		r.event("Step", "step %d: generation %d gets %d%% of the traffic", r.s.Step+1, r.s.Target, step.Share)
	}
	if !r.pauseEnded(step.ByHand, step.Pause) || !r.trafficJudged(r.stepName()) || !r.gatePassed(r.stepName()) {
		return p
	}
	// The next step begins at once: there may be no change of an instance that
	// wakes the loop.
	r.s.Step, r.s.Held, r.s.Resumed, r.s.Progress = r.s.Step+1, time.Time{}, false, r.now
	r.wakeAt(r.now)
	return p
}

func (r *reconciler) stepName() string { return fmt.Sprintf("step-%d", r.s.Step+1) }

// blueGreen creates all instances of the target beside the others, moves the
// traffic at once, and keeps the others for a while so that a rollback is
// immediate.
func (r *reconciler) blueGreen() plan {
	n := r.spec.Replicas
	p := plan{target: n, others: n, most: max(r.maxTotal, 2*n), holds: true}
	if r.s.Switched.IsZero() {
		if r.count(r.target, r.isProven) < n {
			r.restartPause()
			return p
		}
		if r.s.Held.IsZero() {
			r.s.Held = r.now
		}
		if !r.pauseEnded(r.spec.ByHand, 0) || !r.gatePassed("switch") {
			return p
		}
		r.s.Switched, r.s.Resumed = r.now, false
		r.event("Promoted", "all traffic goes to generation %d", r.s.Target)
	}
	due := r.s.Switched.Add(r.spec.Hold)
	if due.After(r.now) {
		r.wakeAt(due)
		return p
	}
	if !r.trafficJudged("switch") {
		return p
	}
	return r.replace(n + len(r.others))
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
	case r.spec.Kind == Canary && r.trying() && r.s.Step < len(r.spec.Steps):
		return r.stepName()
	case r.spec.Kind == BlueGreen && r.trying() && r.s.Switched.IsZero():
		return "switch"
	case r.spec.Kind == RollingUpdate && r.trying() && r.spec.Replicas > 0 && r.s.Passed == "":
		return "first"
	}
	return "last"
}

// gatePassed reports whether a gate has passed, and asks the driver to run it if not.
func (r *reconciler) gatePassed(name string) bool {
	if !r.spec.Gated || r.s.Passed == name || !r.s.Phase.Ended() && r.returning() {
		return true
	}
	g := r.o.Gate
	switch {
	case g.Gate != name || !g.Done || g.Reason != "":
		r.d.Gate = name
		return false
	case g.Inconclusive != "" && !r.passesUndecided(name, g.Inconclusive):
		r.d.Gate = name // once more; the driver chooses when
		return false
	}
	r.s.Passed, r.s.Progress = name, r.now
	r.wakeAt(r.now)
	return true
}

// trafficJudged reports whether there were enough requests to the target to judge it,
// or it goes on without.
func (r *reconciler) trafficJudged(at string) bool {
	if r.o.Unjudged == "" {
		r.s.Undecided = ""
		return true
	}
	return r.passesUndecided(at, r.o.Unjudged)
}

// passesUndecided reports whether the rollout goes on although a gate neither passed
// nor failed. It is never silent.
func (r *reconciler) passesUndecided(at, why string) bool {
	goesOn := r.spec.OnInconclusive == Pass || r.s.Resumed
	what := "gate " + at + ": " + why
	if r.s.Undecided == "" {
		next := "the rollout waits; adamant rollout resume goes on without a result"
		switch {
		case goesOn:
			next = "the rollout goes on"
		case r.spec.OnInconclusive == Fail:
			next = "that fails the rollout"
		}
		r.event("Inconclusive", "%s: %s", what, next)
	}
	r.s.Undecided = what
	if goesOn {
		r.s.Undecided = ""
		return true
	}
	if r.s.Held.IsZero() && r.s.Switched.IsZero() {
		r.s.Held = r.now // time without a result does not count towards the deadline
	}
	return false
}
