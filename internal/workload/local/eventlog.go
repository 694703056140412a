package local

import (
	"encoding/binary"
	"encoding/json"
	"sync"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// maxLogged is the number of events that the log of all workloads keeps. It is also how
// many a sink may be behind without a loss.
const maxLogged = 10_000

// An eventDetail has what not every event has.
type eventDetail struct {
	pod        string
	generation int // the rollout's if 0
}

// logWorkloadEvent appends an event of a workload to the log.
func logWorkloadEvent(t tx, k Key, d eventDetail, reason, message string) error {
	e := event.New(event.Object(k), reason, publicText(message))
	e.Pod, e.Generation = d.pod, d.generation
	if e.Generation == 0 {
		r, _, err := get[record](t, "workloads", k.String())
		if err != nil {
			return err
		}
		e.Generation = r.State.Target
	}
	return logEvent(t, e)
}

// logInstanceEvent appends an event of an instance to the log and not to the history of
// its workload, because there may be many. The caller may hold mu.
func (w *workload) logInstanceEvent(i *instance, reason, message string) {
	d := eventDetail{pod: i.ID, generation: i.Generation}
	w.wg.Go(func() {
		err := w.controller.store.update(func(t tx) error { return logWorkloadEvent(t, w.key, d, reason, message) })
		if err != nil {
			w.controller.log(err)
		}
	})
}

// logEvent appends an event to the log, and removes the oldest ones beyond maxLogged.
func logEvent(t tx, e event.Event) error {
	b := t.Bucket([]byte("log"))
	n, err := b.NextSequence() // of the bucket, so that it never goes back
	if err != nil {
		return err
	}
	e.Sequence = n
	if err := put(t, "log", sequenceKey(n), e); err != nil {
		return err
	}
	c := b.Cursor()
	for key, _ := c.First(); key != nil && binary.BigEndian.Uint64(key)+maxLogged <= n; key, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	t.OnCommit(t.appended.signal)
	return nil
}

func sequenceKey(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// An appended wakes those that wait for events.
type appended struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next event
}

func newAppended() *appended { return &appended{next: make(chan struct{})} }

func (a *appended) signal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.next)
	a.next = make(chan struct{})
}

func (a *appended) wait() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next
}

// An EventLog is the log of a Controller's events. It implements event.Log.
type EventLog struct{ store *store }

// EventLog returns the log of all workloads' events.
func (c *Controller) EventLog() EventLog { return EventLog{c.store} }

// Since implements event.Log.
func (l EventLog) Since(after uint64, limit int) ([]event.Event, error) {
	var list []event.Event
	err := l.store.view(func(t tx) error {
		c := t.Bucket([]byte("log")).Cursor()
		for key, value := c.Seek([]byte(sequenceKey(after + 1))); key != nil && len(list) < limit; key, value = c.Next() {
			var e event.Event
			if err := json.Unmarshal(value, &e); err != nil {
				return err
			}
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// Last implements event.Log.
func (l EventLog) Last() (n uint64, err error) {
	return n, l.store.view(func(t tx) error {
		n = t.Bucket([]byte("log")).Sequence()
		return nil
	})
}

// Appended implements event.Log.
func (l EventLog) Appended() <-chan struct{} { return l.store.appended.wait() }

// Append implements event.Log.
func (l EventLog) Append(reason, message string) error {
	return l.store.update(func(t tx) error { return logEvent(t, event.New(event.Daemon, reason, message)) })
}

// Cursor implements event.Log.
func (l EventLog) Cursor(name string) (n uint64, ok bool, err error) {
	err = l.store.view(func(t tx) (err error) {
		n, ok, err = get[uint64](t, "cursors", name)
		return err
	})
	return n, ok, err
}

// SetCursor implements event.Log.
func (l EventLog) SetCursor(name string, n uint64) error {
	return l.store.update(func(t tx) error { return put(t, "cursors", name, n) })
}

// KeepCursors forgets all cursors but those of the named sinks. A sink that is removed and
// configured again begins anew.
func (l EventLog) KeepCursors(names map[string]bool) error {
	return l.store.update(func(t tx) error {
		var others []string
		err := each(t, "cursors", "", func(name string, _ uint64) error {
			if !names[name] {
				others = append(others, name)
			}
			return nil
		})
		for _, name := range others {
			if err == nil {
				err = remove(t, "cursors", name)
			}
		}
		return err
	})
}

var _ event.Log = EventLog{}
