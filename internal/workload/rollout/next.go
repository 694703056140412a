package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Next looks once at a workload and decides.
func Next(spec Spec, s State, o Observation, now time.Time) (State, Decision) {
	w := newWorld(spec, s, o, now)
	if w.s.Target == 0 {
		return w.s, w.d
	}
	if w.s.Phase == Progressing && !w.s.Paused {
		if why := w.fault(); why != "" {
			w.abort(why)
		}
	}
	w.noteProgress()
	switch {
	case w.s.Phase.Ended():
		w.keep()
	case w.s.Paused:
		w.s.Progress = now
		w.refill()
		w.share()
	default:
		w.advance()
	}
	return w.s, w.d
}

// A world is one look at a workload, with what follows from it so far.
type world struct {
	spec Spec
	s    State
	o    Observation
	now  time.Time
	d    Decision

	target, others []Instance // that are not ending; others are of any other generation
	most, least    int        // instances that may be there, and must be available
}

func newWorld(spec Spec, s State, o Observation, now time.Time) *world {
	w := &world{spec: spec, s: s, o: o, now: now}
	w.d.Create = map[int]int{}
	w.most, w.least = spec.limits()
	w.sort()
	return w
}

// sort tells the target's instances from all others.
func (w *world) sort() {
	w.target, w.others = nil, nil
	for _, i := range w.o.Instances {
		switch {
		case i.Ending:
		case i.Generation == w.s.Target:
			w.target = append(w.target, i)
		default:
			w.others = append(w.others, i)
		}
	}
}

// serves reports whether an instance has been ready for long enough.
func (w *world) serves(i Instance) bool {
	if !i.Ready {
		return false
	}
	due := i.Since.Add(w.spec.MinReady)
	if due.After(w.now) && !i.Since.After(w.now) { // unless the clock was set back
		w.wake(due)
		return false
	}
	return true
}

// proven reports whether an instance serves and is known to be free of drift.
// That is asked of the instances of a new generation: while it is rolled out
// no old one goes for one that is not proven.
func (w *world) proven(i Instance) bool {
	return w.serves(i) && (i.Drift == Clean || w.spec.OnDrift == Report)
}

func (w *world) count(list []Instance, is func(Instance) bool) int {
	n := 0
	for _, i := range list {
		if is(i) {
			n++
		}
	}
	return n
}

// wake asks to be called at a time.
func (w *world) wake(t time.Time) {
	if w.d.Wake.IsZero() || t.Before(w.d.Wake) {
		w.d.Wake = t
	}
}

func (w *world) say(reason, format string, args ...any) {
	w.d.Events = append(w.d.Events, Event{reason, fmt.Sprintf(format, args...)})
}

// refill replaces what was lost while a rollout is paused.
func (w *world) refill() {
	generation := w.s.Stable
	if generation == 0 {
		generation = w.s.Target
	}
	if n := w.spec.Replicas - len(w.target) - len(w.others); n > 0 {
		w.d.Create[generation] = n
	}
}

// fault is what speaks against the target; empty if nothing does.
func (w *world) fault() string {
	if f := w.o.Failed[w.s.Target]; f.Times >= crashLimit {
		return fmt.Sprintf("an instance could not be made, %d times: %s", f.Times, f.Reason)
	}
	crashes, last := 0, ""
	for _, i := range w.target {
		if crashes += i.Crashes; i.Crashes > 0 {
			last = i.Reason
		}
		if i.Drift == Drifted && w.spec.OnDrift != Report {
			return fmt.Sprintf("instance %s drifted from its image", i.ID)
		}
	}
	if crashes >= crashLimit {
		return fmt.Sprintf("its instances crashed, %d times: %s", crashes, last)
	}
	if w.o.Fault != "" {
		return w.o.Fault
	}
	if g := w.o.Gate; g.Done && g.Reason != "" && g.Gate == w.gateName() {
		return fmt.Sprintf("gate %s: %s", g.Gate, g.Reason)
	}
	if due := w.deadline(); !due.IsZero() && !w.now.Before(due) {
		return w.late()
	}
	return ""
}

// deadline is when the rollout is given up for want of progress. A pause that
// somebody has to end is no want of progress.
func (w *world) deadline() time.Time {
	if w.spec.Deadline <= 0 || !w.s.Held.IsZero() || !w.s.Switched.IsZero() {
		return time.Time{}
	}
	due := w.s.Progress.Add(w.spec.Deadline)
	w.wake(due)
	return due
}

func (w *world) late() string {
	why := fmt.Sprintf("no progress for %s: %d of %d instances available", w.spec.Deadline, w.count(w.target, w.proven), w.spec.Replicas)
	for _, i := range w.target {
		switch {
		case i.Reason != "":
			return why + "; " + i.Reason
		case i.Drift == Unknown && w.spec.OnDrift != Report:
			return why + "; instance " + i.ID + " could not be compared with its image"
		}
	}
	return why
}

// abort gives the target up for the generation that ran before.
func (w *world) abort(why string) {
	failed := w.s.Target
	w.s.Reason = fmt.Sprintf("generation %d: %s", failed, why)
	if w.s.Stable == 0 || w.s.Stable == failed {
		w.s.Phase = Failed
		w.say("Failed", "%s; there is no earlier generation to go back to", w.s.Reason)
		return
	}
	w.s = State{
		Target: w.s.Stable, Stable: w.s.Stable, From: failed, Phase: RollingBack, Reason: w.s.Reason,
		Began: w.s.Began, Progress: w.now, Replaced: w.s.Replaced,
	}
	w.sort()
	w.say("RollingBack", "%s; going back to generation %d", w.s.Reason, w.s.Target)
}

// noteProgress moves the deadline on as the target gets more instances. Going
// back has a deadline, too, after which it is left to what keeps a workload.
func (w *world) noteProgress() {
	if n := w.count(w.target, w.serves); n > w.s.Best {
		w.s.Best, w.s.Progress = n, w.now
	}
	if w.s.Phase != RollingBack {
		return
	}
	if due := w.deadline(); !due.IsZero() && !w.now.Before(due) {
		w.s.Phase = Failed
		w.s.Reason += fmt.Sprintf("; going back to generation %d made no progress for %s either", w.s.Target, w.spec.Deadline)
		w.say("Failed", "%s", w.s.Reason)
	}
}

// finish ends a rollout.
func (w *world) finish() {
	if w.s.Phase == RollingBack {
		w.s.Phase = RolledBack
		w.say("RolledBack", "generation %d runs again: %s", w.s.Target, w.s.Reason)
	} else {
		w.s.Phase, w.s.Reason = Complete, ""
		w.say("Complete", "generation %d runs with %d instances", w.s.Target, w.spec.Replicas)
	}
	w.s.Stable = w.s.Target
	w.s.Step, w.s.Held, w.s.Switched, w.s.Resumed, w.s.Passed = 0, time.Time{}, time.Time{}, false, ""
}

// byWorth orders instances so that those come first that are missed least:
// what does not serve, what drifted, what is of a generation that never
// completed its rollout, what crashed, what is young.
func (w *world) byWorth(list []Instance) []Instance {
	rank := func(i Instance) int {
		switch {
		case !i.Ready:
			return 0
		case i.Drift == Drifted:
			return 1
		case i.Generation != w.s.Target && i.Generation != w.s.Stable:
			return 2
		case !w.serves(i):
			return 3
		}
		return 4
	}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Crashes, a.Crashes), b.Made.Compare(a.Made), cmp.Compare(a.ID, b.ID))
	})
	return sorted
}
