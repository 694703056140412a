package rollout

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// waiting returns a spec of each strategy in which a rollout waits for a user while
// both generations run.
func waiting(n int) map[string]Spec {
	canary, blue, held := rolling(n), rolling(n), rolling(n)
	canary.Kind, canary.Steps = Canary, []Step{{Share: 25, ByHand: true}}
	blue.Kind, blue.ByHand = BlueGreen, true
	held.Gated = true
	return map[string]Spec{"canary": canary, "blue/green": blue, "rolling": held}
}

// wait begins generation 2 beside 1 and lets it come to its wait.
func wait(t *testing.T, spec Spec) *sim {
	s := between(t, spec, good)
	if spec.Kind == RollingUpdate {
		for range 3 {
			s.step()
		}
		s.state.Paused = true // by hand, after the first new instance
	}
	for range 8 {
		s.step()
	}
	if got := s.generations(); got[1] == 0 || got[2] == 0 {
		t.Fatalf("both generations run while it waits: %v", got)
	}
	return s
}

// TestTheRunningGenerationIsRestoredAtOnce checks what an undo, or an apply of the
// version that runs, does while another is being tried.
func TestTheRunningGenerationIsRestoredAtOnce(t *testing.T) {
	for name, spec := range waiting(4) {
		t.Run(name, func(t *testing.T) {
			s := wait(t, spec)
			had := s.generations()
			s.begin(1)
			for range 8 {
				before := s.ready(s.all, func(i Instance) bool { return i.Generation == 1 })
				d := s.step()
				if d.Gate != "" {
					t.Fatalf("gate %s is asked again", d.Gate)
				}
				if d.Shares[2] > 25 {
					t.Fatalf("what is given up gets %d%% of the traffic", d.Shares[2])
				}
				for _, id := range d.Remove {
					if slices.ContainsFunc(s.all, func(i Instance) bool { return i.ID == id && i.Generation == 1 }) {
						t.Fatalf("an instance of the running generation is removed; there were %v, %d ready", had, before)
					}
				}
			}
			if s.state.Phase != Complete || s.state.Paused {
				t.Errorf("eight seconds later: %+v", s.state)
			}
			if d := cmp.Diff(s.generations(), map[int]int{1: 4}); d != "" {
				t.Errorf("instances (-got +want):\n%s", d)
			}
		})
	}
}

func TestWhatIsLostWhileARolloutWaitsIsReplaced(t *testing.T) {
	for name, spec := range waiting(4) {
		for _, lost := range []int{1, 2} {
			t.Run(name, func(t *testing.T) {
				s := wait(t, spec)
				had := s.generations()
				for n := range s.all {
					if s.all[n].Generation == lost {
						s.all[n].Ending = true
					}
				}
				for range 10 {
					s.step()
				}
				if d := cmp.Diff(s.generations(), had); d != "" {
					t.Errorf("all of generation %d were lost; ten seconds later (-got +want):\n%s", lost, d)
				}
				if n := s.ready(s.all, nil); n < 4 {
					t.Errorf("%d instances are ready", n)
				}
			})
		}
	}
}

func TestReplicasChangeWhileARolloutWaits(t *testing.T) {
	for name, want := range map[string]map[int]int{"canary": {1: 6, 2: 2}, "blue/green": {1: 8, 2: 8}, "rolling": {1: 7, 2: 1}} {
		t.Run(name, func(t *testing.T) {
			s := wait(t, waiting(4)[name])
			s.spec.Replicas = 8
			for range 10 {
				s.step()
			}
			if d := cmp.Diff(s.generations(), want); d != "" {
				t.Errorf("8 replicas (-got +want):\n%s", d)
			}
		})
	}
}

func TestDriftIsReplacedWhileARolloutWaits(t *testing.T) {
	for name, spec := range waiting(4) {
		t.Run(name, func(t *testing.T) {
			spec.OnDrift, spec.Budget = Replace, Budget{3, time.Hour}
			s := wait(t, spec)
			had := s.generations()
			n := slices.IndexFunc(s.all, func(i Instance) bool { return i.Generation == 1 })
			s.all[n].Drift = Drifted
			id := s.all[n].ID
			for range 10 {
				s.step()
			}
			if slices.ContainsFunc(s.all, func(i Instance) bool { return i.ID == id }) {
				t.Error("the drifted instance of the running generation stays")
			}
			if d := cmp.Diff(s.generations(), had); d != "" {
				t.Errorf("instances (-got +want):\n%s", d)
			}
		})
	}
}

// TestDriftBeyondTheBudgetGetsNoTraffic checks that the load is left to sound instances
// as long as they can carry it.
func TestDriftBeyondTheBudgetGetsNoTraffic(t *testing.T) {
	for _, c := range []struct{ instances, drifted, isolated int }{{1, 1, 0}, {2, 1, 1}, {2, 2, 0}, {4, 1, 1}, {8, 2, 2}, {8, 3, 2}} {
		spec := rolling(c.instances)
		spec.OnDrift = Replace
		s := newSim(t, spec)
		s.apply(1, good)
		s.settle()
		for n := range c.drifted {
			s.all[n].Drift = Drifted
		}
		d := s.step()
		if len(d.Isolate) != c.isolated || len(d.Remove) != 0 {
			t.Errorf("%d of %d drifted without a budget: isolates %v, removes %v; want %d isolated", c.drifted, c.instances, d.Isolate, d.Remove, c.isolated)
		}
	}
}

// TestAGateWithoutAResultIsNeverSilent checks a canary whose traffic cannot be judged.
func TestAGateWithoutAResultIsNeverSilent(t *testing.T) {
	for _, c := range []struct {
		on    OnInconclusive
		phase Phase
	}{{"", Progressing}, {Wait, Progressing}, {Pass, Complete}, {Fail, RolledBack}} {
		t.Run(string(c.on), func(t *testing.T) {
			spec := rolling(4)
			spec.Kind, spec.Steps, spec.OnInconclusive = Canary, []Step{{Share: 25, Pause: time.Second}}, c.on
			s := between(t, spec, good)
			s.blind = "3 of 20 requests"
			for range 120 {
				s.step()
			}
			if s.state.Phase != c.phase {
				t.Fatalf("got %+v, want %s", s.state, c.phase)
			}
			said := slices.DeleteFunc(slices.Clone(s.log), func(e Event) bool { return e.Reason != "Inconclusive" })
			if len(said) != 1 {
				t.Errorf("reported %v, want it once", said)
			}
			if c.phase != Progressing {
				return
			}
			s.state = s.state.Resume(s.now)
			s.settle()
			if s.state.Phase != Complete {
				t.Errorf("resumed: %+v", s.state)
			}
		})
	}
}

// TestACanaryThatIsNotReadyCarriesNothing checks that the running generation makes up for
// it when more replicas are wanted.
func TestACanaryThatIsNotReadyCarriesNothing(t *testing.T) {
	spec := rolling(1)
	spec.Kind, spec.Steps = Canary, []Step{{Share: 1, ByHand: true}}
	s := between(t, spec, slow)
	s.step()
	s.state.Paused = true
	s.spec.Replicas = 2
	for range 10 {
		s.step()
	}
	if d := cmp.Diff(s.generations(), map[int]int{1: 2, 2: 1}); d != "" {
		t.Errorf("2 replicas (-got +want):\n%s", d)
	}
}

// TestMoreReplicasBeforeTheNewGenerationServes checks that the generation that runs
// gets the replicas that are added while the new one is not ready.
func TestMoreReplicasBeforeTheNewGenerationServes(t *testing.T) {
	spec := rolling(4)
	spec.MaxSurge, spec.MaxUnavailable = intstr.FromInt32(0), intstr.FromInt32(1)
	s := between(t, spec, slow)
	for range 3 {
		s.step()
	}
	s.spec.Replicas = 6
	s.step()
	s.state.Paused = true
	for range 5 {
		s.step()
	}
	if n := s.ready(s.all, nil); n != 5 {
		t.Errorf("%d instances are ready, want 5 of 6: %v", n, s.generations())
	}
}

// TestAnOvertakenInstanceThatIsNotReadyIsNotKept checks that a generation that was
// overtaken before it was ready does not take the place of one that serves.
func TestAnOvertakenInstanceThatIsNotReadyIsNotKept(t *testing.T) {
	spec := rolling(3)
	spec.MaxSurge, spec.MaxUnavailable = intstr.FromInt32(0), intstr.FromInt32(1)
	s := between(t, spec, slow)
	for range 3 {
		s.step()
	}
	s.apply(3, good)
	s.state.Paused = true
	for range 5 {
		s.step()
	}
	if got := s.generations(); got[2] != 0 || got[1] != 3 {
		t.Errorf("instances by generation: %v, want three of 1, which serves", got)
	}
}

// TestRecreateNeverMixesGenerations checks that a pause and a failure before the old
// instances are removed do not let two generations run side by side.
func TestRecreateNeverMixesGenerations(t *testing.T) {
	spec := rolling(3)
	spec.Kind = Recreate
	for name, disturb := range map[string]func(*sim){
		"paused before it begins": func(s *sim) { s.state.Paused = true },
		"paused, and all are lost": func(s *sim) {
			s.state.Paused = true
			s.step()
			for n := range s.all {
				s.all[n].Ending = true
			}
		},
		"failed before it begins": func(s *sim) { s.state.Paused = true; s.step(); s.state.Phase = Failed },
		"paused, then scaled":     func(s *sim) { s.state.Paused = true; s.step(); s.spec.Replicas = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			s := between(t, spec, good)
			disturb(s)
			for range 10 {
				s.step() // checks it
			}
			if got := s.generations(); got[1] != s.spec.Replicas || got[2] != 0 {
				t.Errorf("instances by generation: %v, want %d of 1", got, s.spec.Replicas)
			}
		})
	}
}

// TestDriftOfAnInstanceThatMustBeAlone checks that an instance beside which none can
// exist, because of its name or a port of the machine, is replaced after it is gone.
func TestDriftOfAnInstanceThatMustBeAlone(t *testing.T) {
	for _, kind := range []Kind{Recreate, RollingUpdate} {
		spec := Spec{Replicas: 1, Kind: kind, Alone: true, OnDrift: Replace, Budget: Budget{3, time.Hour}, MaxUnavailable: intstr.FromInt32(1)}
		s := newSim(t, spec)
		s.apply(1, good)
		s.settle()
		id := s.all[0].ID
		s.all[0].Drift = Drifted
		for range 6 {
			if d := s.step(); len(s.all) > 1 {
				t.Fatalf("%s: two instances: %+v", kind, d)
			}
		}
		if len(s.all) != 1 || s.all[0].ID == id || !s.all[0].Ready {
			t.Errorf("%s: instances %+v, want another than %s", kind, s.all, id)
		}
	}
}
