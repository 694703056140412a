package clock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	errEnough := errors.New("enough")
	for name, tt := range map[string]struct {
		sleep, limit time.Duration
		want         error
	}{
		"passes":         {sleep: time.Second, limit: time.Minute},
		"not at all":     {limit: time.Minute},
		"ends too early": {sleep: time.Hour, limit: time.Minute, want: errEnough},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), tt.limit, errEnough)
				defer cancel()
				began := time.Now()
				if err := Sleep(ctx, tt.sleep); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if got, want := time.Since(began), min(tt.sleep, tt.limit); got != want {
					t.Errorf("slept %v, want %v", got, want)
				}
			})
		})
	}
}
