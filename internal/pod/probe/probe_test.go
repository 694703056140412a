package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a handler with fixed results, of which the last one is repeated. It
// records the times of its calls.
type script struct {
	answers string // "+" succeeds, "-" fails, "t" blocks until ctx ends
	asked   []time.Duration
	began   time.Time
}

func (s *script) Probe(ctx context.Context) Result {
	n := min(len(s.asked), len(s.answers)-1)
	s.asked = append(s.asked, time.Since(s.began))
	if s.answers[n] == 't' {
		<-ctx.Done()
		return Result{Output: ctx.Err().Error()}
	}
	return Result{OK: s.answers[n] == '+'}
}

func TestRun(t *testing.T) {
	type seconds = []int
	for _, tt := range []struct {
		name     string
		answers  string
		schedule Schedule
		times    int
		want     string  // verdicts: ? unknown, + success, - failure, ! changed
		at       seconds // times of the calls
	}{
		{"defaults", "+", Schedule{}, 3, "!+ + +", seconds{0, 10, 20}},
		{"initial delay", "+", Schedule{InitialDelay: 5 * time.Second, Period: time.Second}, 2, "!+ +", seconds{5, 6}},
		{"three failures", "+---", Schedule{Period: time.Second}, 4, "!+ + + !-", seconds{0, 1, 2, 3}},
		{"failures from the start", "---", Schedule{Period: time.Second}, 3, "? ? !-", seconds{0, 1, 2}},
		{"a success starts over", "--+--", Schedule{Period: time.Second}, 5, "? ? !+ + +", seconds{0, 1, 2, 3, 4}},
		{"two successes", "-++", Schedule{Period: time.Second, SuccessThreshold: 2, FailureThreshold: 1}, 3, "!- - !+", seconds{0, 1, 2}},
		{"timeout", "t", Schedule{Period: 2 * time.Second, Timeout: time.Second, FailureThreshold: 2}, 2, "? !-", seconds{0, 2}},
		{"slower than its period", "t", Schedule{Period: time.Second, Timeout: 3 * time.Second, FailureThreshold: 1}, 2, "!- -", seconds{0, 3}},
		{"eager", "---+", Schedule{Eager: true}, 5, "? !+ +", seconds{0, 0, 0, 0, 10}},
		{"eager in vain", "-", Schedule{Period: time.Second, Eager: true}, 7, "? ? !- -", seconds{0, 0, 0, 0, 1, 2, 3}},
		{"eager for two successes", "-+", Schedule{SuccessThreshold: 2, Eager: true}, 3, "? ? !+", seconds{0, 10, 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers, began: time.Now()}
				var got string
				Run(t.Context(), s, tt.schedule, s.began, func(v Verdict) bool {
					got += " " + show(v)
					return len(s.asked) < tt.times
				})
				if diff := cmp.Diff(got[1:], tt.want); diff != "" {
					t.Error(diff)
				}
				var at seconds
				for _, d := range s.asked {
					at = append(at, int(d/time.Second))
				}
				if diff := cmp.Diff(at, tt.at); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func show(v Verdict) string {
	out := ""
	if v.Changed {
		out = "!"
	}
	switch {
	case !v.Known:
		return out + "?"
	case v.OK:
		return out + "+"
	}
	return out + "-"
}

// A container that was started long ago is probed immediately.
func TestRunLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: "+", began: time.Now()}
		Run(t.Context(), s, Schedule{InitialDelay: time.Minute}, s.began.Add(-time.Hour), func(Verdict) bool { return false })
		if s.asked[0] != 0 {
			t.Errorf("asked after %s", s.asked[0])
		}
	})
}

// A result does not count if the context ended during the probe.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		s := &script{answers: "t", began: time.Now()}
		Run(ctx, s, Schedule{FailureThreshold: 1}, s.began, func(v Verdict) bool {
			t.Errorf("reported %+v", v)
			return true
		})
	})
}
