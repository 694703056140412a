package rollout

import "slices"

// driftedIn returns the instances that are replaced for drift: those of generations
// whose number the plan keeps. Their number in a period is bounded by the budget.
// Drift in a generation that is being tried fails its rollout, and is not in the list.
func (r *reconciler) driftedIn(p plan) []Instance {
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
	for _, i := range r.o.Instances {
		isKept := p.holds
		if i.Generation == r.s.Target {
			isKept = r.s.Phase.Ended() || r.returning() || r.paused()
		}
		if i.Ending || i.Drift != Drifted || !isKept {
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

// stop removes drifted instances without a replacement, until the next apply or scale.
func (r *reconciler) stop(p plan) plan {
	for _, i := range r.drifted {
		r.s.Withheld++
		r.s.Wanted[i.Generation]--
		if i.Generation == r.s.Target {
			p.target = max(p.target-1, 0)
		} else {
			p.others = max(p.others-1, 0)
		}
		r.removeDrifted(i, "DriftStopped", "stopped, and not replaced")
	}
	r.target, r.others = without(r.target, r.drifted), without(r.others, r.drifted)
	r.drifted = nil
	return p
}

// replaceDrifted removes drifted instances as soon as enough others are available, or at
// once if none can exist beside them.
func (r *reconciler) replaceDrifted() {
	sound := 0
	for _, i := range r.o.Instances {
		if !i.Ending && i.Drift != Drifted && r.isAvailable(i) {
			sound++
		}
	}
	sound -= r.count(r.removed(r.o.Instances), r.isAvailable)
	for _, i := range without(r.drifted, r.removed(r.drifted)) {
		if sound >= min(r.minAvailable, r.spec.Replicas) && sound > 0 || !i.Ready || r.spec.Alone {
			r.removeDrifted(i, "DriftReplaced", "replaced")
		}
	}
}

func (r *reconciler) removeDrifted(i Instance, reason, what string) {
	r.remove(i)
	r.s.Replaced = append(r.s.Replaced, r.now)
	r.event(reason, "instance %s drifted from its image and is %s", i.ID, what)
}

// isolate takes drifted instances out of traffic, within the budget and beyond it, as
// far as those that are left of their generation can carry the load: as many as must
// be available, or all but one. Without a sound one they all serve, because an outage is
// worse than a wrong file that is known.
func (r *reconciler) isolate() {
	if r.spec.OnDrift == Report || r.spec.OnDrift == "" {
		return
	}
	sound, serve := map[int]int{}, map[int]int{}
	for _, i := range r.staying() {
		if r.isAvailable(i) {
			serve[i.Generation]++
			if i.Drift != Drifted {
				sound[i.Generation]++
			}
		}
	}
	spare := r.spec.Replicas - r.minAvailable
	for _, i := range r.removalOrder(r.staying()) {
		g := i.Generation
		if i.Drift != Drifted || sound[g] == 0 {
			continue
		}
		if !r.isAvailable(i) {
			r.d.Isolate = append(r.d.Isolate, i.ID)
		} else if serve[g] > max(min(r.s.Wanted[g]-spare, r.s.Wanted[g]-1), 1) {
			r.d.Isolate = append(r.d.Isolate, i.ID)
			serve[g]--
		}
	}
}

// staying returns the instances that this decision leaves.
func (r *reconciler) staying() []Instance {
	list := make([]Instance, 0, len(r.o.Instances))
	for _, i := range r.o.Instances {
		if !i.Ending && !slices.Contains(r.d.Remove, i.ID) {
			list = append(list, i)
		}
	}
	return list
}
