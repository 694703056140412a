package api

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// A memoryLog is an eventLog that can fail for new sinks.
type memoryLog struct {
	mu       sync.Mutex
	list     []event.Event
	cursors  map[string]uint64
	appended chan struct{}
	fail     error // of a sink that has no cursor
}

func (l *memoryLog) Since(after uint64, _ int) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list[after:], nil
}

func (l *memoryLog) Last() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.list)), nil
}

func (l *memoryLog) Appended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended
}

func (l *memoryLog) Append(reason, message string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := event.New(event.Daemon, reason, message)
	e.Sequence = uint64(len(l.list) + 1)
	l.list = append(l.list, e)
	close(l.appended)
	l.appended = make(chan struct{})
	return nil
}

func (l *memoryLog) Cursor(name string) (uint64, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.cursors[name]
	if !ok {
		return 0, false, l.fail
	}
	return n, true, nil
}

func (l *memoryLog) SetCursor(name string, n uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursors[name] = n
	return nil
}

func (l *memoryLog) KeepCursors(names map[string]bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.cursors {
		if !names[name] {
			delete(l.cursors, name)
		}
	}
	return nil
}

// TestSinksThatCannotBeSet checks that the deliveries go on if the next ones cannot begin.
func TestSinksThatCannotBeSet(t *testing.T) {
	for name, tt := range map[string]struct {
		next EventsConfig
		fail error
	}{
		"invalid webhook": {next: EventsConfig{File: "-", Webhook: &WebhookConfig{URL: "ftp://host"}}},
		"unreadable log":  {next: EventsConfig{Webhook: &WebhookConfig{URL: "http://host"}}, fail: errors.New("unreadable")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				log := &memoryLog{cursors: map[string]uint64{}, appended: make(chan struct{})}
				s := &sinks{log: log, stdout: &out, report: func(err error) { t.Error(err) }}
				if err := s.set(EventsConfig{File: "-"}); err != nil {
					t.Fatal(err)
				}
				log.fail = tt.fail
				if err := s.set(tt.next); err == nil {
					t.Error("no error")
				}
				log.Append("Complete", "after")
				synctest.Wait()
				s.close()
				if !strings.Contains(out.String(), `"after"`) {
					t.Errorf("got %q, want the event", out.String())
				}
			})
		})
	}
}
