package learn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// TestForecast checks the estimates of two trials: the second one is expected to
// take as long as the first one did.
func TestForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type estimate struct {
			Left   time.Duration
			Detail string
		}
		var got []estimate
		f := &forecast{tell: func(end time.Time, detail string) { got = append(got, estimate{time.Until(end), detail}) }}
		f.expect(2)
		end := f.begin(Load{For: 10 * time.Second})
		events := f.events(&corev1.PodSpec{Containers: make([]corev1.Container, 2)})
		time.Sleep(time.Second)
		events(pod.Event{Reason: "Started", Container: "a"})
		time.Sleep(time.Second)
		events(pod.Event{Reason: "Started", Container: "b"})
		time.Sleep(38 * time.Second)
		end()
		end = f.begin(Load{})
		time.Sleep(40 * time.Second)
		end()
		f.begin(Load{})()
		want := []estimate{
			{54 * time.Second, ""}, {53 * time.Second, "started 1 of 2 containers"}, {52 * time.Second, ""},
			{40 * time.Second, ""},
			{40 * time.Second, ""}, // one more than was expected
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("estimates (-got +want):\n%s", d)
		}
	})
	var none *forecast
	none.expect(1)
	none.begin(Load{})()
	if none.events(&corev1.PodSpec{}) != nil {
		t.Error("events of no forecast")
	}
}
