package rollout

import (
	"fmt"
	"time"
)

// advance takes a rollout, or a way back, as far as it may go now.
func (w *world) advance() {
	back := w.s.Phase == RollingBack
	switch {
	case w.spec.Kind == Recreate:
		w.recreate()
	case back:
		w.goBack()
	case w.spec.Kind == BlueGreen && w.s.Stable != 0:
		w.blueGreen()
	case w.spec.Kind == Canary && w.s.Stable != 0 && w.s.Step < len(w.spec.Steps):
		w.canary()
	default:
		w.rolling()
	}
	if !w.s.Phase.Ended() {
		w.share()
	}
}

// rolling replaces instance by instance. Gates are asked twice: of the first
// new instances, and of all of them.
func (w *world) rolling() {
	if w.s.Passed == "" && w.s.Stable != 0 && w.spec.Replicas > 0 && w.spec.Gated {
		keep := min(len(w.others), w.spec.Replicas)
		if w.most == w.spec.Replicas {
			keep = min(keep, w.least) // a new one fits only where an old one was
		}
		w.converge(w.spec.Replicas, keep, w.most)
		if w.count(w.target, w.proven) > 0 {
			w.ask("first")
		}
		return
	}
	w.replace(w.most)
}

// goBack restores the capacity of the generation before first, all at once
// where instances of two generations may stand side by side.
func (w *world) goBack() {
	most := w.most
	if most > w.spec.Replicas {
		most = max(most, w.spec.Replicas+len(w.others))
	}
	w.replace(most)
}

// replace converges on the target alone, and ends the rollout once that is
// reached.
func (w *world) replace(most int) {
	n := w.spec.Replicas
	w.converge(n, 0, most)
	if len(w.others) == 0 && len(w.target) == n && w.count(w.target, w.provenOrBack) == n && w.passed("last") {
		w.finish()
		w.keep()
	}
}

// converge makes and removes instances towards two numbers, as far as the
// limits allow: the total never grows past most, and no available instance is
// removed if fewer than least were left.
func (w *world) converge(wantTarget, wantOthers, most int) {
	live := len(w.target) + len(w.others)
	if n := min(wantTarget-len(w.target), most-live); n > 0 {
		w.d.Create[w.s.Target] = n
	}
	proven := w.count(w.target, w.provenOrBack)
	available := w.count(w.others, w.serves) + proven
	if proven == 0 && most > w.spec.Replicas {
		wantOthers = max(wantOthers, w.spec.Replicas) // the first new one has to prove itself before any of these goes
	}
	excess := len(w.others) - wantOthers
	for _, i := range w.byWorth(w.others) {
		if excess <= 0 {
			break
		}
		if w.mayGo(i, &available, w.least) {
			w.remove(i)
			excess--
		}
	}
	w.trim(w.target, wantTarget, available)
}

// mayGo reports whether an instance can be spared while at least so many must
// be available, and counts it off if it was one of those. One that is ready and
// not counted yet is kept while there are too few.
func (w *world) mayGo(i Instance, available *int, least int) bool {
	if !w.serves(i) {
		return !i.Ready || *available >= least
	}
	if *available-1 < least {
		return false
	}
	*available--
	return true
}

// provenOrBack is what the target's instances must be. On the way back they are
// of a generation that was proven before.
func (w *world) provenOrBack(i Instance) bool {
	if w.s.Phase == RollingBack {
		return w.serves(i)
	}
	return w.proven(i)
}

// trim removes what is too many of some of the target's instances.
func (w *world) trim(list []Instance, want, available int) {
	excess := len(list) - want
	for _, i := range w.byWorth(list) {
		if excess > 0 && w.mayGo(i, &available, min(w.least, want)) {
			w.remove(i)
			excess--
		}
	}
}

func (w *world) remove(i Instance) { w.d.Remove = append(w.d.Remove, i.ID) }

// recreate removes all that is old before it makes anything new.
func (w *world) recreate() {
	for _, i := range w.others {
		w.remove(i)
	}
	for _, i := range w.o.Instances {
		if i.Generation != w.s.Target {
			return // one of them, ending perhaps, is still there
		}
	}
	w.replace(w.spec.Replicas)
}

// canary gives the target one share of the traffic after the other.
func (w *world) canary() {
	step := w.spec.Steps[w.s.Step]
	want := canaries(w.spec.Replicas, step.Share)
	keep := w.spec.Replicas - want
	if step.Share < 100 {
		keep = max(keep, min(1, w.spec.Replicas))
	}
	w.converge(want, keep, max(w.most, want+keep))
	if w.count(w.target, w.proven) < want {
		w.beginAgain()
		return
	}
	if w.s.Held.IsZero() {
		w.s.Held = w.now
		w.say("Step", "step %d: generation %d gets %d%% of the traffic", w.s.Step+1, w.s.Target, step.Share)
	}
	if !w.pauseIsOver(step.ByHand, step.Pause) || !w.passed(w.stepName()) {
		return
	}
	w.s.Step, w.s.Held, w.s.Resumed, w.s.Progress = w.s.Step+1, time.Time{}, false, w.now
	w.wake(w.now)
}

func (w *world) stepName() string { return fmt.Sprintf("step-%d", w.s.Step+1) }

// blueGreen brings all of the target up beside the others, moves the traffic at
// once, and keeps the others for a while, to go back to.
func (w *world) blueGreen() {
	n := w.spec.Replicas
	if w.s.Switched.IsZero() {
		w.converge(n, min(len(w.others), n), max(w.most, 2*n))
		if w.count(w.target, w.proven) < n {
			w.beginAgain()
			return
		}
		if w.s.Held.IsZero() {
			w.s.Held = w.now
		}
		if !w.pauseIsOver(w.spec.ByHand, 0) || !w.passed("switch") {
			return
		}
		w.s.Switched, w.s.Resumed = w.now, false
		w.say("Promoted", "all traffic goes to generation %d", w.s.Target)
	}
	due := w.s.Switched.Add(w.spec.Hold)
	if due.After(w.now) {
		w.wake(due)
		return
	}
	w.replace(n + len(w.others))
}

// beginAgain ends a pause whose instances were lost; the deadline runs again.
func (w *world) beginAgain() {
	if !w.s.Held.IsZero() {
		w.s.Held, w.s.Progress = time.Time{}, w.now
	}
}

// pauseIsOver reports whether a pause that began at Held has ended.
func (w *world) pauseIsOver(byHand bool, pause time.Duration) bool {
	if w.s.Resumed {
		return true
	}
	due := w.s.Held.Add(pause)
	if !byHand && due.After(w.now) {
		w.wake(due)
	}
	return !byHand && !due.After(w.now)
}

// gateName is the gate that stands before the rollout's next move.
func (w *world) gateName() string { return w.s.gate(w.spec) }

// gate names the gate that is to be asked in this state.
func (s State) gate(spec Spec) string {
	switch {
	case spec.Kind == Canary && s.Stable != 0 && s.Step < len(spec.Steps):
		return fmt.Sprintf("step-%d", s.Step+1)
	case spec.Kind == BlueGreen && s.Stable != 0 && s.Switched.IsZero():
		return "switch"
	case spec.Kind == RollingUpdate && s.Stable != 0 && spec.Replicas > 0 && s.Passed == "":
		return "first"
	}
	return "last"
}

// ask asks a gate, and notes once it lets pass.
func (w *world) ask(name string) bool {
	if g := w.o.Gate; g.Gate == name && g.Done && g.Reason == "" {
		w.s.Passed, w.s.Progress = name, w.now
		w.wake(w.now)
		return true
	}
	w.d.Gate = name
	return false
}

// passed reports whether a gate lets the rollout pass; on the way back none is
// asked.
func (w *world) passed(name string) bool {
	if !w.spec.Gated || w.s.Phase == RollingBack || w.s.Passed == name {
		return true
	}
	return w.ask(name)
}
