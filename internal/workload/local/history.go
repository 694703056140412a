package local

import (
	"reflect"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// An Event is something that happened to a workload.
type Event struct {
	Time    time.Time `json:"time"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
}

// maxEvents is the number of events that are kept of a workload.
const maxEvents = 500

func addEvent(t tx, k Key, reason, message string) error {
	n := lastNumber(t, "events", k) + 1
	if err := put(t, "events", numberedKey(k, n), Event{time.Now().UTC(), reason, message}); err != nil {
		return err
	}
	if n > maxEvents {
		return remove(t, "events", numberedKey(k, n-maxEvents))
	}
	return nil
}

// beginAttempt starts an attempt and ends the one that is under way.
func beginAttempt(t tx, k Key, a Attempt) error {
	n := lastNumber(t, "attempts", k)
	if n > 0 {
		before, ok, err := get[Attempt](t, "attempts", numberedKey(k, n))
		if err != nil {
			return err
		}
		if ok && before.Ended.IsZero() {
			before.Ended, before.Outcome, before.Reason = a.Began, rollout.Failed, "another rollout took its place"
			if err := put(t, "attempts", numberedKey(k, n), before); err != nil {
				return err
			}
		}
	}
	a.Number = n + 1
	return put(t, "attempts", numberedKey(k, a.Number), a)
}

// endAttempt stores how the latest attempt ended. It is called when a rollout
// starts to roll back and again when that has ended.
func endAttempt(t tx, k Key, s rollout.State) error {
	n := lastNumber(t, "attempts", k)
	a, ok, err := get[Attempt](t, "attempts", numberedKey(k, n))
	if err != nil || !ok {
		return err
	}
	a.Outcome, a.Reason = s.Phase, s.Reason
	if s.Phase.Ended() {
		a.Ended = time.Now().UTC()
	}
	return put(t, "attempts", numberedKey(k, n), a)
}

// equalStates reports whether two states are equal once they are encoded:
// without monotonic clock readings and time zones.
func equalStates(a, b rollout.State) bool {
	a.Began, b.Began = a.Began.Round(0), b.Began.Round(0)
	a.Progress, b.Progress = a.Progress.Round(0), b.Progress.Round(0)
	a.Held, b.Held = a.Held.Round(0), b.Held.Round(0)
	a.Switched, b.Switched = a.Switched.Round(0), b.Switched.Round(0)
	if !a.Began.Equal(b.Began) || !a.Progress.Equal(b.Progress) || !a.Held.Equal(b.Held) || !a.Switched.Equal(b.Switched) {
		return false
	}
	b.Began, b.Progress, b.Held, b.Switched = a.Began, a.Progress, a.Held, a.Switched
	if !slices.EqualFunc(a.Replaced, b.Replaced, time.Time.Equal) {
		return false
	}
	b.Replaced = a.Replaced
	return reflect.DeepEqual(a, b)
}
