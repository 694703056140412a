package rollout

import (
	"cmp"
	"slices"
	"time"
)

// Ordinals describes the instances of a StatefulSet. Each has a number and, by it, a name
// and claims of its own, so that there are never two with one number: none is created
// before the one that it replaces is gone.
type Ordinals struct {
	Start int `json:"start,omitempty"` // the lowest
	// Partition is how many of the lowest ordinals keep the generation that completed its
	// rollout last, while another is rolled out.
	Partition int `json:"partition,omitempty"`
	// Parallel creates and removes instances without an order. Otherwise each waits for
	// all lower ones to be available, and the highest is removed first. The order of
	// replacements is the same in both cases.
	Parallel bool `json:"parallel,omitempty"`
}

// ordered makes the decision for a StatefulSet: which generation each ordinal runs, which
// instances are removed, and which are created.
func (r *reconciler) ordered() {
	r.d.Ordinal = map[int]int{}
	s := r.newSet()
	s.assign()
	switch {
	case r.paused():
		r.drifted = r.driftedIn(plan{holds: true})
	case r.trying():
		isHeld := s.advance()
		r.drifted = r.driftedIn(plan{holds: isHeld})
	default:
		r.drifted = r.driftedIn(plan{})
	}
	s.scaleDown()
	s.removeReplaced()
	s.removeDrifted()
	s.create()
	r.s.Wanted = map[int]int{}
	for _, g := range r.s.Assigned {
		if g != 0 {
			r.s.Wanted[g]++
		}
	}
	if !r.s.Phase.Ended() && !r.paused() && s.isDone() && r.gatePassed("last") {
		r.complete()
	}
	r.isolate()
	r.splitTraffic()
	if len(r.s.Wanted) == 0 {
		r.s.Wanted = nil
	}
}

// A set is a StatefulSet during one call of Next.
type set struct {
	*reconciler
	ordinals  []int            // that are wanted, in ascending order
	at        map[int]Instance // by ordinal, also those that are ending
	condemned []Instance       // beyond the ordinals, the highest first
}

func (r *reconciler) newSet() *set {
	s := &set{reconciler: r, at: map[int]Instance{}, ordinals: r.spec.WantedOrdinals()}
	for _, i := range r.o.Instances {
		if s.at[i.Ordinal] = i; !slices.Contains(s.ordinals, i.Ordinal) {
			s.condemned = append(s.condemned, i)
		}
	}
	slices.SortFunc(s.condemned, func(a, b Instance) int { return cmp.Compare(b.Ordinal, a.Ordinal) })
	return s
}

// assign decides which generation each ordinal runs, except for the progress of a trial.
func (s *set) assign() {
	before := s.s.Assigned
	s.s.Assigned = map[int]int{}
	for _, o := range s.ordinals {
		g, known := before[o]
		i, exists := s.at[o]
		switch {
		case g == 0 && known && s.s.Withheld > 0:
			s.s.Assigned[o] = 0 // stopped for drift, until the next apply or scale
			continue
		case g != 0:
		case exists && !i.Ending:
			g = i.Generation
		default:
			g = s.home() // a new ordinal is added to the generation that runs
		}
		isOvertaken := g != s.s.Target && g != s.s.Stable
		switch {
		case s.paused():
		case !s.trying():
			g = s.s.Target
		case isOvertaken && (s.isLost(o) || !i.Ready && !s.mayAdvance(o)):
			g = s.home()
		}
		s.s.Assigned[o] = g
	}
	if !s.trying() || s.down(-1) <= s.mayDown() {
		return
	}
	// Too few are available. Until the trial ends, higher ordinals may wait for one that
	// never gets available and, while a user holds it, nothing else ends that.
	for _, o := range s.ordinals {
		if s.s.Assigned[o] != 0 && !s.isUp(o) && (s.paused() || s.blocks(o)) {
			s.s.Assigned[o] = s.s.Stable
		}
	}
}

// blocks reports whether lost instances wait for an ordinal. They do not keep that from its repair for ever.
func (s *set) blocks(o int) bool {
	if s.spec.Ordinals.Parallel || s.isStalled() {
		return false
	}
	return slices.ContainsFunc(s.ordinals, func(higher int) bool { return higher > o && s.s.Assigned[higher] != 0 && s.isLost(higher) })
}

// isStalled reports whether a rollout fails soon for lack of progress.
func (s *set) isStalled() bool {
	return s.spec.Deadline > 0 && s.now.Sub(s.s.Progress) > s.spec.Deadline/2
}

// home returns the generation that serves while another is being tried.
func (s *set) home() int { return cmp.Or(s.s.Stable, s.s.Target) }

// isLost reports whether the instance of an ordinal is gone, or going.
func (s *set) isLost(o int) bool {
	i, exists := s.at[o]
	return !exists || i.Ending
}

// isUp reports whether an ordinal has an instance that is available.
func (s *set) isUp(o int) bool {
	i, ok := s.at[o]
	return ok && !i.Ending && !slices.Contains(s.d.Remove, i.ID) && s.isAvailable(i)
}

// mayDown returns how many ordinals may be without an available instance.
func (s *set) mayDown() int { return s.spec.Replicas - s.minAvailable }

// down returns the number of ordinals without an available instance, other than o.
func (s *set) down(o int) int {
	n := 0
	for _, other := range s.ordinals {
		if other != o && s.s.Assigned[other] != 0 && !s.isUp(other) {
			n++
		}
	}
	return n
}

// available returns the number of ordinals with an available instance.
func (s *set) available() int {
	n := 0
	for _, o := range s.ordinals {
		if s.isUp(o) {
			n++
		}
	}
	return n
}

// isBehind reports whether an ordinal still runs another generation than the target.
func (s *set) isBehind(o int) bool {
	g := s.s.Assigned[o]
	return g != 0 && g != s.s.Target
}

// mayAdvance reports whether the strategy lets an ordinal run the target.
func (s *set) mayAdvance(o int) bool {
	if s.spec.Kind == OnDelete {
		return s.isLost(o) // a user removes it for that
	}
	return o >= s.spec.Ordinals.Start+s.spec.Ordinals.Partition
}

// advance assigns the target to the next ordinals of a trial: from the highest down, as
// many at a time as may be unavailable. An ordinal that serves nothing and whose
// generation is broken goes first, because it could otherwise block its own repair for
// ever. It reports whether something other than instances holds the rollout.
func (s *set) advance() (isHeld bool) {
	behind := slices.DeleteFunc(slices.Clone(s.ordinals), func(o int) bool { return !s.isBehind(o) })
	open := slices.DeleteFunc(slices.Clone(behind), func(o int) bool { return !s.mayAdvance(o) })
	if len(behind) > 0 && len(open) == 0 && s.unproven() == 0 {
		if s.s.Held.IsZero() {
			s.s.Held = s.now // it waits for a user, which does not count towards the deadline
			s.event("Step", "%d of %d instances run generation %d; %s", len(s.ordinals)-len(behind), len(s.ordinals), s.s.Target, s.spec.HeldBy())
		}
		return true
	}
	if s.s.Undecided == "" {
		s.restartPause()
	}
	if s.spec.Gated && s.spec.Kind == RollingUpdate && s.s.Passed == "" && len(behind) < len(s.ordinals) {
		if s.count(s.target, s.isProven) == 0 {
			s.unblock(open)
			return false
		}
		if !s.trafficJudged("first") || !s.gatePassed("first") {
			return true
		}
		s.s.Held, s.s.Resumed = time.Time{}, false
	}
	if len(s.condemned) > 0 && !s.spec.Ordinals.Parallel {
		s.unblock(open) // first the scaling, which may wait for it
		return false
	}
	slices.Reverse(open)
	slices.SortStableFunc(open, func(a, b int) int { return cmp.Compare(s.rank(a), s.rank(b)) })
	atOnce := s.mayDown()
	if s.spec.Gated && s.s.Passed == "" {
		atOnce = 1
	}
	for _, o := range open {
		// With OnDelete an instance may also be lost by an accident, and others with it.
		counts := s.isUp(o) || s.spec.Kind == OnDelete
		if s.unproven() >= atOnce || s.blocks(o) || counts && s.down(o)+1 > s.mayDown() {
			return false
		}
		s.s.Assigned[o] = s.s.Target
	}
	return false
}

// unblock assigns the target to an ordinal that will not serve by itself, if all that have the
// target wait for a lower one. Before the first gate, and while the highest instance serves in
// place of that ordinal and is not scaled down, nothing else would repair it.
func (s *set) unblock(open []int) {
	for _, o := range open {
		if s.unproven() == 0 && s.rank(o) == 0 && !s.blocks(o) {
			s.s.Assigned[o] = s.s.Target
		}
	}
}

// rank is 0 for an ordinal that serves nothing and will not by itself, and 1 for all
// others.
func (s *set) rank(o int) int {
	i, exists := s.at[o]
	if exists && !i.Ending && !i.Ready && (i.Generation != s.s.Stable || s.spec.crashes(i, s.now) >= backedOff || s.isStalled()) {
		return 0
	}
	return 1
}

// HeldBy returns what a user must do so that the rollout of a StatefulSet goes on that
// its strategy holds.
func (s Spec) HeldBy() string {
	switch {
	case s.Ordinals == nil:
		return ""
	case s.Kind == OnDelete:
		return "the others are replaced when they are removed: adamant rm"
	}
	return "the others are replaced when the partition is lowered"
}

// unproven returns the number of ordinals to which the target is assigned, and which
// neither run it proven nor wait for a lower one.
func (s *set) unproven() int {
	n, waits := 0, false
	for _, o := range s.ordinals {
		i, exists := s.at[o]
		isProven := exists && !i.Ending && i.Generation == s.s.Target && s.isProven(i)
		if s.s.Assigned[o] == s.s.Target && !isProven && (exists || !waits) {
			n++
		}
		waits = waits || !s.spec.Ordinals.Parallel && s.s.Assigned[o] != 0 && !s.isUp(o)
	}
	return n
}

// scaleDown removes instances beyond the wanted ordinals, the highest first. One that
// serves stays while too few others do.
func (s *set) scaleDown() {
	for _, i := range s.condemned {
		missing := s.down(-1) > 0 // no ordinal is negative
		if s.spec.Ordinals.Parallel {
			missing = s.available() < min(s.minAvailable, len(s.ordinals))
		}
		if !i.Ending && (!i.Ready || !missing) {
			s.remove(i)
		}
		if !s.spec.Ordinals.Parallel {
			return
		}
	}
}

// removeReplaced removes instances that do not run the generation of their ordinal: at
// once those that serve nothing, and others while enough are available.
func (s *set) removeReplaced() {
	for _, o := range slices.Backward(s.ordinals) {
		i, exists := s.at[o]
		if g := s.s.Assigned[o]; !exists || i.Ending || g == 0 || i.Generation == g {
			continue
		}
		if !i.Ready || s.down(o)+1 <= s.mayDown() {
			s.remove(i)
		}
	}
}

// removeDrifted removes drifted instances: with a replacement in their place or, if the
// policy is Stop, without.
func (s *set) removeDrifted() {
	for _, i := range without(s.drifted, s.removed(s.drifted)) {
		if !slices.Contains(s.ordinals, i.Ordinal) {
			continue
		}
		if s.spec.OnDrift == Stop {
			s.s.Withheld++
			s.s.Assigned[i.Ordinal] = 0
			s.reconciler.removeDrifted(i, "DriftStopped", "stopped, and not replaced")
		} else if !i.Ready || s.down(i.Ordinal)+1 <= s.mayDown() {
			s.reconciler.removeDrifted(i, "DriftReplaced", "replaced")
		}
	}
}

// create creates the instances of ordinals that have none: in order, each once all lower
// ones are available, or all at once.
func (s *set) create() {
	for _, o := range s.ordinals {
		g := s.s.Assigned[o]
		if g == 0 {
			continue
		}
		if _, exists := s.at[o]; !exists {
			s.d.Ordinal[o] = g
		}
		if !s.spec.Ordinals.Parallel && !s.isUp(o) {
			return
		}
	}
}

// isDone reports whether every ordinal runs the target, and nothing else is left.
func (s *set) isDone() bool {
	if len(s.condemned) > 0 {
		return false
	}
	for _, o := range s.ordinals {
		i, exists := s.at[o]
		g := s.s.Assigned[o]
		if g == 0 && !exists {
			continue
		}
		if g != s.s.Target || !exists || i.Ending || i.Generation != g || slices.Contains(s.d.Remove, i.ID) || !s.isAcceptable(i) {
			return false
		}
	}
	return true
}

// WantedOrdinals returns the ordinals that a StatefulSet wants, nil for another workload.
func (s Spec) WantedOrdinals() []int {
	if s.Ordinals == nil {
		return nil
	}
	var list []int
	for n := range s.Replicas {
		list = append(list, s.Ordinals.Start+n)
	}
	return list
}

// LastOrdinal returns the last ordinal of a number of replicas, -1 for none and without
// ordinals.
func (s Spec) LastOrdinal(replicas int) int {
	if s.Ordinals == nil || replicas == 0 {
		return -1
	}
	return s.Ordinals.Start + replicas - 1
}
