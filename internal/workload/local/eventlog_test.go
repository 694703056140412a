package local

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// TestEventLog checks the log of a store: its order, what wakes readers, its places, that it
// goes on after the store was closed, and that it keeps the latest.
func TestEventLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet.db")
	s, err := openFile(path, bbolt.Options{NoSync: true})
	must(t, err)
	l := EventLog{s}
	k := Key{"default", "Deployment", "web"}
	appended := l.Appended()
	must(t, s.update(func(t tx) error { return addEvent(t, k, "Complete", "one") }))
	<-appended
	appended = l.Appended()
	undone := errors.New("undone")
	if err := s.update(func(t tx) error { return errors.Join(addEvent(t, k, "Complete", "undone"), undone) }); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	select {
	case <-appended:
		t.Error("an event that was not stored woke a reader")
	default:
	}
	must(t, s.update(func(t tx) error {
		return addEventOf(t, k, eventDetail{pod: "web-1", generation: 2}, "Drifted", "two\n  | PASSWORD=hunter2hunter2")
	}))
	must(t, l.SetCursor("a file", 1))
	must(t, l.SetCursor("another", 1))
	must(t, l.KeepCursors(map[string]bool{"a file": true}))
	must(t, s.close())

	s, err = openFile(path, bbolt.Options{NoSync: true})
	must(t, err)
	defer s.close()
	l = EventLog{s}
	if n, ok, err := l.Cursor("a file"); n != 1 || !ok || err != nil {
		t.Errorf("the place of the sink is %d, %v, %v", n, ok, err)
	}
	if n, ok, err := l.Cursor("another"); ok || err != nil {
		t.Errorf("the place of a removed sink is %d, %v", n, err)
	}
	must(t, l.Append("EventsLost", "three"))
	list, err := l.Since(0, 10)
	must(t, err)
	for i := range list {
		if age := time.Since(list[i].Time); age < 0 || age > time.Hour {
			t.Errorf("the time of an event is %v", list[i].Time)
		}
		list[i].Time = time.Time{}
	}
	h := event.New(event.Daemon, "", "").Header
	want := []event.Event{
		{Header: h, Sequence: 1, Severity: event.Info, Object: event.Object(k), Reason: "Complete", Message: "one"},
		{Header: h, Sequence: 2, Severity: event.Error, Object: event.Object(k), Generation: 2, Pod: "web-1", Reason: "Drifted", Message: "two"},
		{Header: h, Sequence: 3, Severity: event.Warning, Object: event.Daemon, Reason: "EventsLost", Message: "three"},
	}
	if diff := cmp.Diff(list, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	must(t, s.update(func(t tx) error {
		for n := range maxLogged {
			if err := logEvent(t, event.New(event.Daemon, "Complete", fmt.Sprint(n))); err != nil {
				return err
			}
		}
		return nil
	}))
	if list, err = l.Since(0, 1); err != nil || list[0].Sequence != 4 {
		t.Errorf("the oldest event is %+v, %v", list, err)
	}
	if last, err := l.Last(); last != maxLogged+3 || err != nil {
		t.Errorf("the latest is %d, %v", last, err)
	}
}
