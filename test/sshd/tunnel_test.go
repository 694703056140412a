package sshd

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// arrivals returns when n parcels of 1,000 bytes arrive that are sent at the
// same time, and one more that is sent a second later.
func arrivals(q Quality, n int) (list []time.Duration) {
	start := time.Now()
	l := newLane(q, 0, 1)
	for range n {
		list = append(list, l.arrival(1000).Sub(start))
	}
	time.Sleep(time.Second)
	return append(list, l.arrival(1000).Sub(start))
}

func TestArrival(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		q    Quality
		want []time.Duration
	}{
		"good":      {Quality{}, []time.Duration{0, 0, 0, 1000 * ms}},
		"far":       {Quality{Latency: 150 * ms}, []time.Duration{150 * ms, 150 * ms, 150 * ms, 1150 * ms}},
		"narrow":    {Quality{Bandwidth: 10_000}, []time.Duration{100 * ms, 200 * ms, 300 * ms, 1100 * ms}},
		"far, too":  {Quality{Bandwidth: 10_000, Latency: 150 * ms}, []time.Duration{250 * ms, 350 * ms, 450 * ms, 1250 * ms}},
		"very slow": {Quality{Bandwidth: 1000}, []time.Duration{1000 * ms, 2000 * ms, 3000 * ms, 4000 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(arrivals(test.q, 3), test.want); diff != "" {
					t.Errorf("(-got +want):\n%s", diff)
				}
			})
		})
	}
}

// TestStalls checks that stalls come after the configured number of bytes on
// average, delay the bytes after them, and are the same for the same seed.
func TestStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := Quality{Stall: time.Second, StallAfter: 10_000, Seed: 7}
		got := arrivals(q, 10_000)
		for i := range len(got) - 1 {
			if got[i+1] < got[i] {
				t.Fatalf("parcel %d arrives at %v, before the one that was sent before it", i+1, got[i+1])
			}
		}
		if stalls := int(got[9999] / time.Second); stalls < 900 || stalls > 1100 {
			t.Errorf("10 MB stall %d times, want about 1000", stalls)
		}
		if diff := cmp.Diff(arrivals(q, 10_000), got); diff != "" {
			t.Errorf("the same seed stalls otherwise:\n%s", diff)
		}
	})
}
