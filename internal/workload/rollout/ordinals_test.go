package rollout

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// stateful returns the spec of a StatefulSet with ordered instances.
func stateful(replicas int) Spec {
	return Spec{Replicas: replicas, Kind: RollingUpdate, MaxUnavailable: intstr.FromInt32(1), Ordinals: &Ordinals{}, OnDrift: Replace, Budget: Budget{5, time.Hour}}
}

// story steps until nothing changes and the rollout has ended or is held. It returns what
// was created ("+ordinal:generation") and removed ("-ordinal"), in order.
func (s *sim) story() []string {
	s.t.Helper()
	var list []string
	for quiet := 0; quiet < 90; quiet++ {
		before := slices.Clone(s.all)
		d := s.step()
		for _, i := range before {
			if slices.Contains(d.Remove, i.ID) {
				list, quiet = append(list, fmt.Sprintf("-%d", i.Ordinal)), 0
			}
		}
		for _, o := range slices.Sorted(maps.Keys(d.Ordinal)) {
			if s.kind[d.Ordinal[o]] != unmade {
				list, quiet = append(list, fmt.Sprintf("+%d:%d", o, d.Ordinal[o])), 0
			}
		}
	}
	return list
}

func (s *sim) expect(want ...string) {
	s.t.Helper()
	if d := cmp.Diff(s.story(), want); d != "" {
		s.t.Fatalf("(-got +want):\n%s\n%+v", d, s.state)
	}
}

func (s *sim) is(phase Phase, generations map[int]int) {
	s.t.Helper()
	if d := cmp.Diff(s.generations(), generations); d != "" || s.state.Phase != phase {
		s.t.Fatalf("%s, want %s; generations (-got +want):\n%s%+v", s.state.Phase, phase, d, s.state)
	}
}

func TestOrdinals(t *testing.T) {
	s := newSim(t, stateful(3))
	s.apply(1, good)
	s.expect("+0:1", "+1:1", "+2:1")
	s.apply(2, good)
	s.expect("-2", "+2:2", "-1", "+1:2", "-0", "+0:2")
	s.is(Complete, map[int]int{2: 3})

	// The highest is updated, and goes back.
	for n, bad := range []nature{slow, crashes, drifts} {
		s.apply(3+n, bad)
		s.expect("-2", fmt.Sprintf("+2:%d", 3+n), "-2", "+2:2")
		s.is(RolledBack, map[int]int{2: 3})
	}
	s.apply(6, unmade)
	s.expect("-2", "+2:2")
	s.is(RolledBack, map[int]int{2: 3})

	// The scale changes at the upper end, and the start of the ordinals at both.
	s.spec.Replicas = 1
	s.expect("-2", "-1")
	s.spec.Replicas = 2
	s.expect("+1:2")
	s.spec.Ordinals = &Ordinals{Start: 1}
	s.expect("+2:2", "-0")
	s.spec.Replicas = 0
	s.expect("-2", "-1")
	s.is(RolledBack, map[int]int{})
}

// A generation that never gets ready blocks its own repair for ever in Kubernetes.
func TestABrokenStatefulSetIsRepaired(t *testing.T) {
	for _, bad := range []nature{slow, crashes, drifts} {
		s := newSim(t, stateful(2))
		s.apply(1, bad)
		for range 100 {
			s.step()
		}
		if s.state.Phase != Failed {
			t.Fatalf("%s: %+v", bad, s.state)
		}
		s.apply(2, good)
		s.story()
		s.is(Complete, map[int]int{2: 2})
	}

	// An apply overtakes the broken one before that goes back.
	s := between(t, stateful(3), slow)
	for range 10 {
		s.step()
	}
	s.apply(3, good)
	s.expect("-2", "+2:3", "-1", "+1:3", "-0", "+0:3")

	// The generation that runs broke, and the lowest instance is not ready. The next one
	// repairs it although it is not its turn.
	s.kind[3] = slow
	s.all[slices.IndexFunc(s.all, func(i Instance) bool { return i.Ordinal == 0 })].Ready = false
	s.apply(4, good)
	s.expect("-0", "+0:4", "-2", "+2:4", "-1", "+1:4")
	s.is(Complete, map[int]int{4: 3})
}

func TestAPartitionHoldsARollout(t *testing.T) {
	s := newSim(t, stateful(4))
	s.spec.Ordinals = &Ordinals{Start: 5, Partition: 3}
	s.apply(1, good)
	s.expect("+5:1", "+6:1", "+7:1", "+8:1") // the first generation has no partition
	s.apply(2, good)
	s.expect("-8", "+8:2")
	s.is(Progressing, map[int]int{1: 3, 2: 1})
	for n := range s.all {
		s.all[n].Ending = true // each comes back in its own generation
	}
	s.expect("+5:1", "+6:1", "+7:1", "+8:2")
	s.spec.Ordinals = &Ordinals{Start: 5, Partition: 2}
	s.expect("-7", "+7:2")
	s.begin(1) // an undo
	s.expect("-8", "+8:1", "-7", "+7:1")
	s.is(Complete, map[int]int{1: 4})
	s.apply(3, good)
	s.spec.Ordinals = &Ordinals{Start: 5}
	s.expect("-8", "+8:3", "-7", "+7:3", "-6", "+6:3", "-5", "+5:3")
	s.is(Complete, map[int]int{3: 4})
}

func TestOnDeleteReplacesWhatIsRemoved(t *testing.T) {
	s := newSim(t, stateful(3))
	s.spec.Kind = OnDelete
	s.apply(1, good)
	s.settle()
	s.apply(2, good)
	s.expect()
	s.is(Progressing, map[int]int{1: 3})
	s.all[1].Ending = true
	s.expect("+1:2")
	s.kind[2] = slow
	s.all[0].Ending = true // what is broken goes back, without waiting for a user
	s.story()
	s.is(RolledBack, map[int]int{1: 3})
	s.apply(3, good)
	s.step()
	for n := range s.all {
		s.all[n].Ending = true // that is an accident, and the next generation is not proven
	}
	s.expect("+0:1", "+1:1", "+2:3")
	for _, o := range []int{1, 0} {
		s.all[slices.IndexFunc(s.all, func(i Instance) bool { return i.Ordinal == o })].Ending = true
		s.expect(fmt.Sprintf("+%d:3", o))
	}
	s.is(Complete, map[int]int{3: 3})
}

func TestDriftOfAStatefulSetIsReplacedInPlace(t *testing.T) {
	for _, replicas := range []int{1, 2} {
		s := newSim(t, stateful(replicas))
		s.apply(1, good)
		s.settle()
		for n := range s.all {
			s.all[n].Drift = Drifted
		}
		var want []string
		for o := range replicas {
			want = append(want, fmt.Sprintf("-%d", o), fmt.Sprintf("+%d:1", o))
		}
		s.expect(want...)
	}
	s := newSim(t, stateful(3))
	s.spec.OnDrift = Stop
	s.apply(1, good)
	s.settle()
	s.all[1].Drift = Drifted
	s.expect("-1")
	s.state.Withheld = 0 // an apply
	s.expect("+1:1")
}

func TestParallelStatefulSet(t *testing.T) {
	s := newSim(t, stateful(4))
	s.spec.Ordinals, s.spec.MaxUnavailable = &Ordinals{Parallel: true}, intstr.FromInt32(2)
	s.apply(1, good)
	s.expect("+0:1", "+1:1", "+2:1", "+3:1")
	s.apply(2, good)
	s.expect("-2", "-3", "+2:2", "+3:2", "-0", "-1", "+0:2", "+1:2") // two at a time
	s.spec.Replicas = 1
	s.expect("-2", "-3", "-1") // all at once
}

// checkOrdinals checks that no ordinal ever has two instances, and that instances without
// Parallel are created and removed in order.
func (s *sim) checkOrdinals(before []Instance, d Decision, fail func(string, ...any)) {
	s.t.Helper()
	if len(d.Create) > 0 {
		fail("instances without an ordinal would be created")
	}
	at := map[int]Instance{}
	for _, i := range before {
		if _, twice := at[i.Ordinal]; twice {
			fail("two instances have the ordinal %d", i.Ordinal)
		}
		at[i.Ordinal] = i
	}
	wanted := s.spec.WantedOrdinals()
	for _, o := range slices.Sorted(maps.Keys(d.Ordinal)) {
		if i, exists := at[o]; exists {
			fail("ordinal %d would be created while %s exists", o, i.ID)
		}
		if !slices.Contains(wanted, o) {
			fail("ordinal %d would be created, which is not wanted", o)
		}
		for _, lower := range wanted {
			if i, exists := at[lower]; lower < o && !s.spec.Ordinals.Parallel && s.state.Withheld == 0 && (!exists || !i.Ready || i.Ending) {
				fail("ordinal %d would be created before %d is ready", o, lower)
			}
		}
	}
	if s.spec.Ordinals.Parallel {
		return
	}
	for o, i := range at {
		if !slices.Contains(d.Remove, i.ID) || slices.Contains(wanted, o) {
			continue
		}
		for higher := range at {
			if higher > o && !slices.Contains(wanted, higher) {
				fail("ordinal %d would be removed before %d is gone", o, higher)
			}
		}
	}
}
