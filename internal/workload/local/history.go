package local

import (
	"errors"
	"fmt"
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
	return addEventOf(t, k, eventDetail{}, reason, message)
}

// addEventOf adds an event of a workload to its history and to the log.
func addEventOf(t tx, k Key, d eventDetail, reason, message string) error {
	if err := logWorkloadEvent(t, k, d, reason, message); err != nil {
		return err
	}
	n := lastNumber(t, "events", k) + 1
	if err := put(t, "events", numberedKey(k, n), Event{time.Now().UTC(), reason, message}); err != nil {
		return err
	}
	if n > maxEvents {
		return remove(t, "events", numberedKey(k, n-maxEvents))
	}
	return nil
}

// beginAttempt starts an attempt, ends the one that is under way, and returns the
// number of the new one.
func beginAttempt(t tx, k Key, a Attempt) (int, error) {
	why := fmt.Sprintf("%s of generation %d by %s took its place", a.Cause, a.Generation, a.By)
	if err := overtakeAttempt(t, k, a.Began, why); err != nil {
		return 0, err
	}
	began := fmt.Sprintf("generation %d: %s by %s", a.Generation, a.Cause, a.By)
	if err := logWorkloadEvent(t, k, eventDetail{generation: a.Generation}, "Began", began); err != nil {
		return 0, err
	}
	a.Number = lastNumber(t, "attempts", k) + 1
	if a.Number > maxAttempts {
		if err := remove(t, "attempts", numberedKey(k, a.Number-maxAttempts)); err != nil {
			return 0, err
		}
	}
	return a.Number, put(t, "attempts", numberedKey(k, a.Number), a)
}

// maxAttempts is the number of rollouts that are kept of a workload.
const maxAttempts = 500

// overtakeAttempt ends the attempt that is under way.
func overtakeAttempt(t tx, k Key, at time.Time, why string) error {
	n := lastNumber(t, "attempts", k)
	a, ok, err := get[Attempt](t, "attempts", numberedKey(k, n))
	if err != nil || !ok || !a.Ended.IsZero() {
		return err
	}
	a.Ended, a.Outcome, a.Reason = at, rollout.Failed, why
	return put(t, "attempts", numberedKey(k, n), a)
}

// A Deletion is the end of a workload whose history is kept.
type Deletion struct {
	Key
	Time time.Time `json:"time"`
}

// maxDeleted is the number of deleted workloads whose history is kept.
const maxDeleted = 100

// keepDeleted stores that a workload was deleted, and forgets the oldest ones beyond
// maxDeleted.
func keepDeleted(t tx, k Key, at time.Time) error {
	if err := put(t, "deleted", k.String(), Deletion{k, at}); err != nil {
		return err
	}
	list, err := all[Deletion](t, "deleted", "")
	if err != nil || len(list) <= maxDeleted {
		return err
	}
	slices.SortFunc(list, func(a, b Deletion) int { return a.Time.Compare(b.Time) })
	for _, old := range list[:len(list)-maxDeleted] {
		_, again, err := get[record](t, "workloads", old.Key.String())
		if err == nil && !again {
			err = errors.Join(removeAll(t, "attempts", keyPrefix(old.Key)), removeAll(t, "events", keyPrefix(old.Key)))
		}
		if err = errors.Join(err, remove(t, "deleted", old.Key.String())); err != nil {
			return err
		}
	}
	return nil
}

// Deleted returns the deleted workloads whose history is kept.
func (c *Controller) Deleted() ([]Deletion, error) {
	list := []Deletion{}
	err := c.store.view(func(t tx) error {
		return each(t, "deleted", "", func(_ string, d Deletion) error {
			_, again, err := get[record](t, "workloads", d.Key.String())
			if !again {
				list = append(list, d)
			}
			return err
		})
	})
	return list, err
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
