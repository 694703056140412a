package rollout

import (
	"maps"
	"slices"
)

// follow carries out a plan, in every phase: it decides how many instances of each
// generation are wanted now, creates those that are missing, removes those that are too
// many, replaces those that drifted, and splits the traffic. The total does not
// exceed the plan's, and no available instance is removed below minAvailable.
func (r *reconciler) follow(p plan) {
	r.drifted = r.driftedIn(p)
	if r.spec.OnDrift == Stop {
		p = r.stop(p)
	}
	r.lowerOthers(p)
	r.lowerTarget(p)
	r.raise(p)
	r.replaceDrifted()
	r.create(p)
	r.isolate()
	r.splitTraffic()
	maps.DeleteFunc(r.s.Wanted, func(_, n int) bool { return n <= 0 })
	if len(r.s.Wanted) == 0 {
		r.s.Wanted = nil
	}
}

// wantedOthers returns how many instances of other generations than the target are
// wanted.
func (r *reconciler) wantedOthers() int {
	n := 0
	for g, count := range r.s.Wanted {
		if g != r.s.Target {
			n += count
		}
	}
	return n
}

// lowerOthers removes instances of other generations down to the plan's number, as far
// as the limits allow.
func (r *reconciler) lowerOthers(p plan) {
	r.forgetLost(p)
	if p.atOnce {
		for _, i := range r.others {
			r.remove(i)
			r.s.Wanted[i.Generation] = 0
		}
		return
	}
	proven := r.count(r.target, r.isAcceptable)
	available := r.count(r.others, r.isAvailable) + proven
	down := p.others
	if r.s.Phase == Progressing && proven == 0 && !p.holds && p.most > r.spec.Replicas {
		down = r.spec.Replicas // the first new instance must prove itself before an old one is removed
	}
	live := r.live()
	have := 0 // with those that are wanted and lost, and those that are not wanted and cannot go yet
	for g, n := range r.s.Wanted {
		if g != r.s.Target {
			have += max(n, live[g])
		}
	}
	// As in the Deployment controller, an instance that is not ready is given up only
	// while there would be enough if all became ready.
	mayGiveUp := func() bool { return have > down && (!r.serves() || proven+have-1 >= r.minAvailable) }
	for _, g := range slices.Sorted(maps.Keys(r.s.Wanted)) {
		for g != r.s.Target && r.s.Wanted[g] > live[g] && mayGiveUp() {
			r.s.Wanted[g]--
			have--
		}
	}
	for _, i := range r.removalOrder(without(r.others, r.drifted)) {
		tooMany := live[i.Generation] > r.s.Wanted[i.Generation] // it was decided before
		if !tooMany && (have <= down || !i.Ready && !mayGiveUp()) {
			continue
		}
		if r.canRemove(i, &available, r.minAvailable) {
			if !tooMany {
				r.s.Wanted[i.Generation]--
			}
			live[i.Generation]--
			have--
			r.remove(i)
		}
	}
}

// serves reports whether generations other than the target still have a part in what
// runs, so that their lost instances come back.
func (r *reconciler) serves() bool { return r.s.Phase == Progressing && !r.returning() }

// forgetLost stops wanting lost instances of generations that only wait to be removed.
// Those of a generation that never completed its rollout, and that another overtook,
// are wanted of the stable one in their place. Of such a generation one that is not
// ready counts as lost, because nobody waits for it.
func (r *reconciler) forgetLost(p plan) {
	live := r.live()
	if r.trying() && !p.atOnce {
		for _, i := range without(r.others, r.drifted) {
			if i.Generation != r.s.Stable && !i.Ready {
				live[i.Generation]--
			}
		}
	}
	for g, n := range r.s.Wanted {
		lost := n - live[g]
		if g == r.s.Target || lost <= 0 || r.serves() && g == r.s.Stable && !p.atOnce {
			continue
		}
		r.s.Wanted[g] = live[g]
		if r.serves() && r.trying() && !p.atOnce {
			r.s.Wanted[r.s.Stable] += lost
		}
	}
}

// lowerTarget removes instances of the target beyond the plan's number.
func (r *reconciler) lowerTarget(p plan) {
	sound := without(r.target, r.drifted)
	available := r.count(sound, r.isAvailable)
	if !r.s.Phase.Ended() {
		available += r.count(without(r.others, r.removed(r.others)), r.isAvailable)
	}
	excess := max(len(sound)-p.target, 0)
	for _, i := range r.removalOrder(sound) {
		if excess > 0 && r.canRemove(i, &available, min(r.minAvailable, p.target+p.others)) {
			r.remove(i)
			excess--
		}
	}
	r.s.Wanted[r.s.Target] = min(r.s.Wanted[r.s.Target], p.target+excess)
}

// raise wants more instances: of the stable generation as far as the target does not
// make up for it yet, which it may not after the number of replicas grew, and up to the
// plan's number if the plan holds it. The target gets the rest of the room.
func (r *reconciler) raise(p plan) {
	others := r.wantedOthers()
	makesUp := r.trying() && (r.spec.Kind == RollingUpdate || r.spec.Kind == Canary)
	if r.s.Stable != 0 && r.s.Stable != r.s.Target && (p.holds || makesUp) {
		missing := r.minAvailable - r.count(r.target, r.isAcceptable)
		want := min(missing, p.most-r.s.Wanted[r.s.Target])
		if p.holds {
			want = max(want, p.others)
		}
		if n := want - others; n > 0 {
			r.s.Wanted[r.s.Stable] += n
			others += n
		}
	}
	t := r.s.Target
	r.s.Wanted[t] = max(r.s.Wanted[t], min(p.target, p.most-others))
}

// create creates what is wanted and does not exist: first of the generations that serve.
// Drifted instances do not count: each stays only until its replacement serves.
func (r *reconciler) create(p plan) {
	if r.spec.Alone && len(r.o.Instances) > 0 {
		return // perhaps it is ending
	}
	staying := r.staying()
	sound := without(staying, r.drifted)
	room := p.most - len(sound)
	live := map[int]int{}
	for _, i := range sound {
		live[i.Generation]++
	}
	generations := slices.DeleteFunc(slices.Sorted(maps.Keys(r.s.Wanted)), func(g int) bool { return g == r.s.Target })
	for _, g := range append(generations, r.s.Target) {
		isOther := func(i Instance) bool { return i.Generation != g } // perhaps ending
		if r.spec.Kind == Recreate && (len(r.d.Create) > 0 || slices.ContainsFunc(r.o.Instances, isOther)) {
			continue
		}
		if n := min(r.s.Wanted[g]-live[g], room); n > 0 {
			r.d.Create[g] = n
			room -= n
		}
	}
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

func (r *reconciler) remove(i Instance) { r.d.Remove = append(r.d.Remove, i.ID) }

// removed returns those of list that this decision removes.
func (r *reconciler) removed(list []Instance) []Instance {
	var gone []Instance
	for _, i := range list {
		if slices.Contains(r.d.Remove, i.ID) {
			gone = append(gone, i)
		}
	}
	return gone
}

// without returns the instances of list that are not in other. The result may be list.
func without(list, other []Instance) []Instance {
	if len(other) == 0 {
		return slices.Clip(list)
	}
	return slices.DeleteFunc(slices.Clone(list), func(i Instance) bool {
		return slices.ContainsFunc(other, func(o Instance) bool { return o.ID == i.ID })
	})
}
