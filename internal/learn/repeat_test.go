package learn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The load is repeated until it is answered, also if a round takes longer than the patience:
// a server that recovers its data refuses what a long round begins with.
func TestRepeatRound(t *testing.T) {
	for _, tt := range []struct {
		name      string
		lasts     time.Duration // of a round
		recovered time.Duration // since the restart
		want      bool
		rounds    int
	}{
		{"answered at once", time.Second, 0, true, 1},
		{"answered soon", time.Second, 3 * time.Second, true, 4},
		{"a long round that begins too early", 30 * time.Second, time.Second, true, 2},
		{"never answered, in long rounds", 30 * time.Second, time.Hour, false, 2},
		{"never answered", 4 * time.Second, time.Hour, false, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				patience, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				restart, rounds, answered := time.Now(), 0, false
				repeatRound(t.Context(), patience, func() ([]Outcome, bool) {
					rounds++
					answered = time.Since(restart) >= tt.recovered
					time.Sleep(tt.lasts)
					return nil, answered
				})
				if answered != tt.want || rounds != tt.rounds {
					t.Errorf("answered is %t after %d rounds, want %t after %d", answered, rounds, tt.want, tt.rounds)
				}
			})
		})
	}
}
