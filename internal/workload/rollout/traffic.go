package rollout

import "slices"

// splitTraffic sets the share of new traffic of each generation. A generation
// without an available instance gets none, unless no generation has one.
func (r *reconciler) splitTraffic() {
	stays := func(i Instance) bool {
		return !slices.Contains(r.d.Remove, i.ID) && !slices.Contains(r.d.Isolate, i.ID)
	}
	runs := func(i Instance) bool { return i.Generation == r.s.Stable }
	none := r.count(r.o.Instances, func(i Instance) bool { return !i.Ending && runs(i) && r.isAvailable(i) && stays(i) }) == 0
	for _, takes := range []func(Instance) bool{
		// A young instance is better than none, and than one of a generation that is
		// only tried.
		func(i Instance) bool { return stays(i) && (r.isAvailable(i) || none && runs(i) && i.Ready) },
		func(i Instance) bool { return stays(i) && i.Ready },
		func(i Instance) bool { return i.Ready },
	} {
		target, others := r.count(r.target, takes), r.count(r.others, takes)
		if target+others == 0 {
			continue
		}
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
		return
	}
	r.d.Shares = map[int]int{r.s.Target: 100}
}

// targetShare returns the target's share by its strategy, in percent.
func (r *reconciler) targetShare() int {
	switch {
	case r.s.Phase != Progressing:
		return 100
	case r.returning():
		return r.returningShare()
	case r.spec.Kind == BlueGreen && r.trying():
		return r.triedShare()
	case r.spec.Kind == Canary && r.trying():
		// Less than the step's share while too few of its instances are there.
		return min(r.shareByInstances(), r.triedShare())
	}
	return r.shareByInstances()
}

// triedShare returns the most that a generation may get by the strategy while another
// one runs.
func (r *reconciler) triedShare() int {
	switch {
	case r.spec.Kind == Canary && r.s.Step < len(r.spec.Steps):
		return r.spec.Steps[r.s.Step].Share
	case r.spec.Kind == BlueGreen && r.s.Switched.IsZero():
		return 0
	}
	return 100
}

// returningShare returns the share of a generation that a user restores. It gets all
// traffic once enough of its instances are available to carry it, and until then
// leaves to the other no more than that had.
func (r *reconciler) returningShare() int {
	if r.spec.Kind == Recreate || r.count(r.target, r.isAvailable) >= r.minAvailable {
		return 100
	}
	return 100 - min(100-r.shareByInstances(), r.triedShare())
}

// shareByInstances returns the share of the target's instances that count among all
// available ones, in percent.
func (r *reconciler) shareByInstances() int {
	target, others := r.count(r.target, r.isAcceptable), r.count(r.others, r.isAvailable)
	if target+others == 0 {
		return 100
	}
	return 100 * target / (target + others)
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
