package rollout

import (
	"testing"
	"time"
)

func TestBeside(t *testing.T) {
	now := time.Unix(1, 0)
	begun := State{Stable: 1}.Begin(2, now)
	with := func(change func(*State)) State {
		s := begun
		change(&s)
		return s
	}
	steps := []Step{{Share: 34}, {Share: 100, ByHand: true}}
	for _, test := range []struct {
		name  string
		spec  Spec
		state State
		want  int
		waits bool
	}{
		{"rolling", Spec{Kind: RollingUpdate, Replicas: 3}, begun, 0, false},
		{"rolling with gates", Spec{Kind: RollingUpdate, Replicas: 3, Gated: true}, begun, 1, false},
		{"after the first gate", Spec{Kind: RollingUpdate, Replicas: 3, Gated: true}, with(func(s *State) { s.Passed = "first" }), 0, false},
		{"no replicas", Spec{Kind: RollingUpdate, Gated: true}, begun, 0, false},
		{"recreate with gates", Spec{Kind: Recreate, Replicas: 3, Gated: true}, begun, 0, false},
		{"a canary", Spec{Kind: Canary, Replicas: 3, Steps: steps}, begun, 2, false},
		{"its last step", Spec{Kind: Canary, Replicas: 3, Steps: steps}, with(func(s *State) { s.Step, s.Held = 1, now }), 3, true},
		{"resumed", Spec{Kind: Canary, Replicas: 3, Steps: steps}, with(func(s *State) { s.Step, s.Held, s.Resumed = 1, now, true }), 3, false},
		{"after its steps", Spec{Kind: Canary, Replicas: 3, Steps: steps}, with(func(s *State) { s.Step = 2 }), 0, false},
		{"a first generation", Spec{Kind: Canary, Replicas: 3, Steps: steps}, State{}.Begin(1, now), 0, false},
		{"the stable generation", Spec{Kind: Canary, Replicas: 3, Steps: steps}, with(func(s *State) { s.Target = 1 }), 0, false},
		{"rolling back", Spec{Kind: Canary, Replicas: 3, Steps: steps}, with(func(s *State) { s.Phase = RollingBack }), 0, false},
		{"green", Spec{Kind: BlueGreen, Replicas: 3, ByHand: true}, with(func(s *State) { s.Held = now }), 3, true},
		{"after the switch", Spec{Kind: BlueGreen, Replicas: 3, ByHand: true}, with(func(s *State) { s.Switched = now }), 0, false},
		{"paused by hand", Spec{Kind: RollingUpdate, Replicas: 3}, with(func(s *State) { s.Paused = true }), 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, waits := test.spec.Beside(test.state), test.spec.Waits(test.state); got != test.want || waits != test.waits {
				t.Errorf("got %d, waits %v: want %d, %v", got, waits, test.want, test.waits)
			}
		})
	}
}
