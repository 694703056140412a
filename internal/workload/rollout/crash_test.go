package rollout

import (
	"strings"
	"testing"
	"time"
)

func TestCrashLimit(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	crashed := func(times int, since time.Duration) Instance {
		return Instance{ID: "new", Generation: 2, Created: now.Add(-time.Hour), Crashes: times, RestartAt: now.Add(-since), Reason: "exit code 1"}
	}
	for _, tt := range []struct {
		name      string
		spec      Spec
		instances []Instance
		want      string // in the reason of the rollback; empty if there is none
	}{
		{"it waits for its first back-off", Spec{}, []Instance{crashed(2, -time.Second)}, ""},
		{"it was restarted after its first back-off", Spec{}, []Instance{crashed(2, time.Second)}, ""},
		{"it crashed after a back-off", Spec{}, []Instance{crashed(3, -time.Second)}, "crashed, 3 times: exit code 1"},
		{"the time of the crash is not known", Spec{}, []Instance{{ID: "new", Generation: 2, Crashes: 3, Reason: "exit code 1"}}, "crashed, 3 times"},
		{"each crashed once", Spec{}, []Instance{crashed(1, 0), crashed(1, 0), crashed(1, 0)}, ""},
		{"it has run for long since", Spec{}, []Instance{crashed(3, 11*time.Minute)}, ""},
		{"a higher limit", Spec{CrashLimit: 5}, []Instance{crashed(4, 0)}, ""},
		{"a higher limit, reached by two", Spec{CrashLimit: 5}, []Instance{crashed(3, 0), crashed(2, 0)}, "crashed, 5 times"},
		{"a lower limit before a back-off", Spec{CrashLimit: 1}, []Instance{crashed(2, time.Second)}, ""},
		{"a shorter window", Spec{CrashWindow: time.Second}, []Instance{crashed(3, 2*time.Second)}, ""},
		{"it can never start", Spec{CrashLimit: 9}, []Instance{crashed(Fatal, 0)}, "instance new cannot start: exit code 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Replicas = 3
			s, _ := Next(tt.spec, State{Stable: 1}.Begin(2, now), Observation{Instances: tt.instances}, now)
			if (s.Phase == RollingBack) != (tt.want != "") || !strings.Contains(s.Reason, tt.want) {
				t.Errorf("got %s, %q; want %q", s.Phase, s.Reason, tt.want)
			}
		})
	}
}
