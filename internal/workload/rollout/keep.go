package rollout

import "slices"

// keep holds a workload at its replicas while no rollout is under way, and
// replaces what drifted.
func (w *world) keep() {
	want := max(w.spec.Replicas-w.s.Withheld, 0)
	drifted := w.drifted()
	sound := len(w.target) - len(drifted)
	room := w.most + len(drifted) - len(w.target) - len(w.others)
	if n := min(want-sound, room); n > 0 {
		w.d.Create[w.s.Target] = n
	}
	serving := w.count(w.target, w.serves) - w.count(drifted, w.serves)
	others := w.count(w.others, w.serves)
	w.retire(drifted, want, serving+others)
	w.retireOthers(serving + others)
	w.trim(without(w.target, drifted), want, serving)
	w.share()
}

// retireOthers removes what is left of other generations, unless nothing else
// serves.
func (w *world) retireOthers(available int) {
	for _, i := range w.byWorth(w.others) {
		if w.mayGo(i, &available, w.least) {
			w.remove(i)
		}
	}
}

// drifted are the target's instances that are to go for drift. Within a time
// only so many are, so that an image that drifts by itself is not replaced for
// ever.
func (w *world) drifted() []Instance {
	if w.spec.OnDrift == Report || w.spec.OnDrift == "" {
		return nil
	}
	for len(w.s.Replaced) > 0 && w.s.Replaced[0].Add(w.spec.Budget.Per).Before(w.now) {
		w.s.Replaced = w.s.Replaced[1:]
	}
	left := w.spec.Budget.Count - len(w.s.Replaced)
	if left > 0 {
		w.s.Spent = false
	}
	var list []Instance
	for _, i := range w.target {
		if i.Drift != Drifted {
			continue
		}
		if left <= 0 {
			w.overBudget(i)
			break
		}
		left--
		list = append(list, i)
	}
	return list
}

func (w *world) overBudget(i Instance) {
	if len(w.s.Replaced) > 0 {
		w.wake(w.s.Replaced[0].Add(w.spec.Budget.Per))
	}
	if w.s.Spent {
		return
	}
	w.s.Spent = true
	w.say("DriftBudget", "instance %s drifted and stays: %d were replaced for drift within %s already", i.ID, w.spec.Budget.Count, w.spec.Budget.Per)
}

// retire takes drifted instances out of traffic as soon as others serve, and
// removes them as soon as there are enough of those.
func (w *world) retire(drifted []Instance, want, serving int) {
	for _, i := range drifted {
		if w.spec.OnDrift == Stop {
			w.s.Withheld++
			w.d.Create = map[int]int{}
			w.leave(i, "DriftStopped", "stopped, and not replaced")
			continue
		}
		if serving > 0 {
			w.d.Isolate = append(w.d.Isolate, i.ID)
		}
		if serving >= min(w.least, want) && serving > 0 || !i.Ready {
			w.leave(i, "DriftReplaced", "replaced")
		}
	}
}

func (w *world) leave(i Instance, reason, what string) {
	w.remove(i)
	w.s.Replaced = append(w.s.Replaced, w.now)
	w.say(reason, "instance %s drifted from its image and is %s", i.ID, what)
}

// without returns the instances of list that are not in other.
func without(list, other []Instance) []Instance {
	return slices.DeleteFunc(slices.Clone(list), func(i Instance) bool {
		return slices.ContainsFunc(other, func(o Instance) bool { return o.ID == i.ID })
	})
}

// share says which generations get new traffic. Whoever has no instance that
// serves gets none, unless nobody has.
func (w *world) share() {
	takes := w.serves
	if w.count(w.target, takes)+w.count(w.others, takes) == 0 {
		takes = func(i Instance) bool { return i.Ready } // better a young one than none
	}
	target, others := w.count(w.target, takes), w.count(w.others, takes)
	share := w.targetShare()
	switch {
	case others == 0:
		share = 100
	case target == 0:
		share = 0
	}
	w.d.Shares = map[int]int{w.s.Target: share}
	if share < 100 {
		w.giveOthers(100-share, takes)
	}
}

// targetShare is the target's share by its strategy, in percent.
func (w *world) targetShare() int {
	switch {
	case w.s.Phase != Progressing:
		return 100
	case w.spec.Kind == Canary && w.s.Stable != 0 && w.s.Step < len(w.spec.Steps):
		if w.count(w.target, w.proven) == 0 {
			return 0
		}
		return w.spec.Steps[w.s.Step].Share
	case w.spec.Kind == BlueGreen && w.s.Stable != 0 && w.s.Switched.IsZero():
		return 0
	case w.spec.Kind == BlueGreen:
		return 100
	}
	return w.byNumber()
}

// byNumber is the share of proven instances among all that serve.
func (w *world) byNumber() int {
	proven, others := w.count(w.target, w.proven), w.count(w.others, w.serves)
	if proven+others == 0 {
		return 100
	}
	return 100 * proven / (proven + others)
}

// giveOthers gives the rest to the stable generation if that takes traffic, or
// else to the newest that does.
func (w *world) giveOthers(rest int, takes func(Instance) bool) {
	best := 0
	for _, i := range w.others {
		if !takes(i) {
			continue
		}
		if i.Generation == w.s.Stable || best == 0 || best != w.s.Stable && i.Generation > best {
			best = i.Generation
		}
	}
	w.d.Shares[best] += rest
}
