package rollout

import "slices"

// maintain keeps the number of replicas while no rollout is under way, and
// replaces instances that drifted.
func (r *reconciler) maintain() {
	want := max(r.spec.Replicas-r.s.Withheld, 0)
	drifted := r.replaceable()
	sound := len(r.target) - len(drifted)
	// Drifted instances do not count towards the limit: each is removed only after
	// its replacement serves.
	room := r.maxTotal + len(drifted) - len(r.target) - len(r.others)
	if n := min(want-sound, room); n > 0 {
		r.d.Create[r.s.Target] = n
	}
	serving := r.count(r.target, r.isAvailable) - r.count(drifted, r.isAvailable)
	others := r.count(r.others, r.isAvailable)
	r.removeDrifted(drifted, want, serving+others)
	r.removeOthers(serving + others)
	r.removeExcess(without(r.target, drifted), want, serving)
	r.splitTraffic()
}

// removeOthers removes instances of other generations as far as enough others
// are available.
func (r *reconciler) removeOthers(available int) {
	for _, i := range r.removalOrder(r.others) {
		if r.canRemove(i, &available, r.minAvailable) {
			r.remove(i)
		}
	}
}

// replaceable returns the target's instances that are replaced for drift. Their
// number in a period is bounded by the budget.
func (r *reconciler) replaceable() []Instance {
	if r.spec.OnDrift == Report || r.spec.OnDrift == "" {
		return nil
	}
	for len(r.s.Replaced) > 0 && r.s.Replaced[0].Add(r.spec.Budget.Per).Before(r.now) {
		r.s.Replaced = r.s.Replaced[1:]
	}
	left := r.spec.Budget.Count - len(r.s.Replaced)
	if left > 0 {
		r.s.Spent = false
	}
	var list []Instance
	for _, i := range r.target {
		if i.Drift != Drifted {
			continue
		}
		if left <= 0 {
			r.budgetSpent(i)
			break
		}
		left--
		list = append(list, i)
	}
	return list
}

func (r *reconciler) budgetSpent(i Instance) {
	if len(r.s.Replaced) > 0 {
		r.wakeAt(r.s.Replaced[0].Add(r.spec.Budget.Per))
	}
	if r.s.Spent {
		return
	}
	r.s.Spent = true
	r.event("DriftBudget", "instance %s drifted and stays: %d were replaced for drift within %s already", i.ID, r.spec.Budget.Count, r.spec.Budget.Per)
}

// removeDrifted takes drifted instances out of traffic as soon as others are
// available, and removes them as soon as enough others are.
func (r *reconciler) removeDrifted(drifted []Instance, want, serving int) {
	for _, i := range drifted {
		if r.spec.OnDrift == Stop {
			// Withheld lowers the wanted number. Without clearing Create, this
			// decision would still replace the stopped instance.
			r.s.Withheld++
			r.d.Create = map[int]int{}
			r.removeOneDrifted(i, "DriftStopped", "stopped, and not replaced")
			continue
		}
		// A drifted instance serves until another does, because an outage is
		// worse than a wrong file that is known.
		if serving > 0 {
			r.d.Isolate = append(r.d.Isolate, i.ID)
		}
		if serving >= min(r.minAvailable, want) && serving > 0 || !i.Ready {
			r.removeOneDrifted(i, "DriftReplaced", "replaced")
		}
	}
}

func (r *reconciler) removeOneDrifted(i Instance, reason, what string) {
	r.remove(i)
	r.s.Replaced = append(r.s.Replaced, r.now)
	r.event(reason, "instance %s drifted from its image and is %s", i.ID, what)
}

// without returns the instances of list that are not in other.
func without(list, other []Instance) []Instance {
	return slices.DeleteFunc(slices.Clone(list), func(i Instance) bool {
		return slices.ContainsFunc(other, func(o Instance) bool { return o.ID == i.ID })
	})
}

// splitTraffic sets the share of new traffic of each generation. A generation
// without an available instance gets none, unless no generation has one.
func (r *reconciler) splitTraffic() {
	takes := r.isAvailable
	if r.count(r.target, takes)+r.count(r.others, takes) == 0 {
		takes = func(i Instance) bool { return i.Ready } // a young instance is better than none
	}
	target, others := r.count(r.target, takes), r.count(r.others, takes)
	share := r.targetShare()
	switch {
	case others == 0:
		share = 100
	case target == 0:
		share = 0
	}
	r.d.Shares = map[int]int{r.s.Target: share}
	if share < 100 {
		r.shareRest(100-share, takes)
	}
}

// targetShare returns the target's share by its strategy, in percent.
func (r *reconciler) targetShare() int {
	switch {
	case r.s.Phase != Progressing:
		return 100
	case r.spec.Kind == Canary && r.s.Stable != 0 && r.s.Step < len(r.spec.Steps):
		if r.count(r.target, r.isProven) == 0 {
			return 0
		}
		return r.spec.Steps[r.s.Step].Share
	case r.spec.Kind == BlueGreen && r.s.Stable != 0 && r.s.Switched.IsZero():
		return 0
	case r.spec.Kind == BlueGreen:
		return 100
	}
	return r.shareByInstances()
}

// shareByInstances returns the share of the proven instances among all
// available ones, in percent.
func (r *reconciler) shareByInstances() int {
	proven, others := r.count(r.target, r.isProven), r.count(r.others, r.isAvailable)
	if proven+others == 0 {
		return 100
	}
	return 100 * proven / (proven + others)
}

// shareRest gives the rest of the traffic to the stable generation or, if that
// has no instance that takes traffic, to the newest that has one.
func (r *reconciler) shareRest(rest int, takes func(Instance) bool) {
	best := 0
	for _, i := range r.others {
		if !takes(i) {
			continue
		}
		if i.Generation == r.s.Stable || best == 0 || best != r.s.Stable && i.Generation > best {
			best = i.Generation
		}
	}
	r.d.Shares[best] += rest
}
