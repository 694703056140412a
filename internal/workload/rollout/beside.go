package rollout

// Beside returns how many instances of the target run beside a complete set of
// instances of the stable generation, before the target replaces that. It is 0 if
// nothing is tried first, and once the replacement may begin.
//
// A driver that leaves the replacement to another controller, as Kubernetes' own,
// needs no more than this, Decision.Gate and the phase.
func (s Spec) Beside(st State) int {
	switch {
	case st.Phase != Progressing || st.Stable == 0 || st.Stable == st.Target:
		return 0
	case s.Kind == Canary && st.Step < len(s.Steps):
		return canaries(s.Replicas, s.Steps[st.Step].Share)
	case s.Kind == BlueGreen && st.Switched.IsZero():
		return s.Replicas
	case s.Kind == RollingUpdate && s.Gated && st.Passed == "":
		return min(1, s.Replicas) // for the first gate
	}
	return 0
}

// Waits reports whether a rollout waits for a user to resume it.
func (s Spec) Waits(st State) bool {
	if st.Phase != Progressing || st.Held.IsZero() || st.Resumed {
		return st.Paused
	}
	return st.Paused || s.Kind == BlueGreen && s.ByHand && st.Switched.IsZero() || s.Kind == Canary && st.Step < len(s.Steps) && s.Steps[st.Step].ByHand
}
