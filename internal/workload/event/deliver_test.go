package event_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/event"
)

// A memory is a Log of a few events.
type memory struct {
	mu      sync.Mutex
	list    []event.Event
	next    uint64
	keep    int
	cursors map[string]uint64
	waiting chan struct{}
}

func newMemory(keep int) *memory {
	return &memory{keep: keep, next: 1, cursors: map[string]uint64{}, waiting: make(chan struct{})}
}

func (m *memory) add(o event.Object, reason, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := event.New(o, reason, message)
	e.Sequence = m.next
	m.next++
	m.list = append(m.list, e)
	m.list = m.list[max(0, len(m.list)-m.keep):]
	close(m.waiting)
	m.waiting = make(chan struct{})
}

func (m *memory) Since(after uint64, limit int) ([]event.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []event.Event
	for _, e := range m.list {
		if e.Sequence > after && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (m *memory) Last() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next - 1, nil
}

func (m *memory) Appended() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting
}

func (m *memory) Append(reason, message string) error {
	m.add(event.Daemon, reason, message)
	return nil
}

func (m *memory) Cursor(name string) (uint64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.cursors[name]
	return n, ok, nil
}

func (m *memory) SetCursor(name string, n uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cursors[name] = n
	return nil
}

var web = event.Object{Namespace: "default", Kind: "Deployment", Name: "web"}

// deliver starts a delivery of a log. The returned function ends it.
func deliver(t *testing.T, log event.Log, sink event.Sink) (*event.Counts, func()) {
	t.Helper()
	return deliverAgain(t, log, sink, time.Millisecond)
}

// deliverAgain is deliver with a pause after a failure.
func deliverAgain(t *testing.T, log event.Log, sink event.Sink, again time.Duration) (*event.Counts, func()) {
	t.Helper()
	counts := &event.Counts{}
	d := event.Delivery{Log: log, Sink: sink, Counts: counts, Report: func(err error) { t.Log(err) }, Again: again}
	check(t, d.Begin())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		<-ended
		check(t, sink.Close())
	})
	t.Cleanup(end)
	return counts, end
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not yet: " + what)
		}
	}
}

// read returns the messages in an events file.
func read(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	check(t, err)
	var messages []string
	for line := range strings.Lines(string(data)) {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			messages = append(messages, "torn: "+strings.TrimSpace(line))
			continue
		}
		messages = append(messages, e.Message)
	}
	return messages
}

func untilRead(t *testing.T, path string, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("%s has %q, has %q", path, want, read(t, path)), func() bool { return slices.Equal(read(t, path), want) })
}

// TestFile checks that a file gets each event that happens after it was configured, that
// it may be rotated at any time, and that a new process continues after the last one.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	log := newMemory(100)
	log.add(web, "Complete", "before")
	_, end := deliver(t, log, event.NewFile(path))
	log.add(web, "Complete", "one")
	untilRead(t, path, "one")
	check(t, os.Rename(path, path+".1"))
	log.add(web, "Drifted", "two")
	untilRead(t, path, "two")
	end()
	log.add(web, "Complete", "while no daemon runs")
	// A process that was killed in the middle of a line.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = f.WriteString(`{"torn`)
	check(t, errors.Join(err, f.Close()))
	_, end = deliver(t, log, event.NewFile(path))
	untilRead(t, path, "two", `torn: {"torn`, "while no daemon runs")
	end()
	untilRead(t, path+".1", "one")
	info, err := os.Stat(path)
	check(t, err)
	if got := info.Mode().Perm(); got&0o007 != 0 {
		t.Errorf("others may use the file: %o", got)
	}
}

// TestFileThatIsNone checks that a pipe, which nobody may read, does not hold the daemon.
func TestFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	log := newMemory(100)
	counts, _ := deliver(t, log, event.NewFile(dir))
	log.add(web, "Complete", "one")
	until(t, "a failure", func() bool { return counts.Failed.Load() > 0 })
}

// A receiver is a server that gets events.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	messages []string
	headers  []http.Header
}

// newReceiver starts a receiver. answer may answer a request, and returns whether it was
// delivered.
func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, list []event.Event) bool) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var list []event.Event
		if err := json.NewDecoder(req.Body).Decode(&list); err != nil || req.Method != http.MethodPost {
			http.Error(w, "no events", http.StatusTeapot)
			return
		}
		if answer != nil && !answer(w, req, list) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.headers = append(r.headers, req.Header)
		for _, e := range list {
			r.messages = append(r.messages, e.Message)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// distinct returns what got returns without what came again: delivery is at least once.
func (r *receiver) distinct() []string {
	var list []string
	for _, m := range r.got() {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

func webhook(t *testing.T, o event.WebhookOptions) *event.Webhook {
	t.Helper()
	o.Timeout = cmp.Or(o.Timeout, time.Minute) // a busy machine may take long for a request
	w, err := event.NewWebhook(o)
	check(t, err)
	return w
}

// TestWebhook posts to receivers that fail at first in several ways.
func TestWebhook(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(secret, []byte("Bearer s3cret\n"), 0o600))
	for name, fail := range map[string]func(w http.ResponseWriter, r *http.Request){
		"never":      nil,
		"status 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"status 401": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"hangs":      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cuts":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"same host 307": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			failures := 0
			opts := event.WebhookOptions{AuthorizationFile: secret}
			if name == "hangs" {
				opts.Timeout = 100 * time.Millisecond
			}
			r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ []event.Event) bool {
				mu.Lock()
				failures++
				failing := fail != nil && failures <= 2 && r.URL.Path == "/hook"
				mu.Unlock()
				if failing {
					fail(w, r)
				}
				return !failing
			})
			log := newMemory(100)
			opts.URL = r.URL + "/hook"
			counts, _ := deliver(t, log, webhook(t, opts))
			log.add(web, "Complete", "one")
			log.add(web, "Drifted", "two")
			until(t, "both are delivered", func() bool { return slices.Equal(r.distinct(), []string{"one", "two"}) })
			until(t, "both are counted", func() bool { return counts.Delivered.Load() >= 2 && counts.Lost.Load() == 0 })
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := r.headers[0].Get("Authorization"); got != "Bearer s3cret" {
				t.Errorf("Authorization: %q", got)
			}
		})
	}
}

// trickle answers without an end.
func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		io.WriteString(w, strings.Repeat("x", 1<<10))
		w.(http.Flusher).Flush()
	}
}

// TestWebhookThatNeverStopsAnswering checks that an answer without an end is cut.
func TestWebhookThatNeverStopsAnswering(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ []event.Event) bool {
		trickle(w, r)
		return true
	})
	log := newMemory(100)
	deliver(t, log, webhook(t, event.WebhookOptions{URL: r.URL}))
	log.add(web, "Complete", "one")
	log.add(web, "Complete", "two")
	until(t, "both are delivered", func() bool { return len(r.distinct()) == 2 })
}

// TestWebhookFollowsNoOtherHost checks that another host gets neither events nor the secret.
func TestWebhookFollowsNoOtherHost(t *testing.T) {
	other := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ []event.Event) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return false
	})
	log := newMemory(100)
	counts, end := deliver(t, log, webhook(t, event.WebhookOptions{URL: r.URL}))
	log.add(web, "Complete", "one")
	until(t, "it failed twice", func() bool { return counts.Failed.Load() > 1 })
	end()
	if got := other.got(); len(got) > 0 {
		t.Errorf("the other host got %q", got)
	}
}

// TestWebhookLoses checks that a receiver which falls behind or refuses an event gets the
// others, and learns what it lost.
func TestWebhookLoses(t *testing.T) {
	t.Run("behind", func(t *testing.T) {
		asked, goOn := make(chan struct{}, 100), make(chan struct{})
		r := newReceiver(t, func(http.ResponseWriter, *http.Request, []event.Event) bool {
			asked <- struct{}{}
			<-goOn
			return true
		})
		log := newMemory(3)
		counts, _ := deliver(t, log, webhook(t, event.WebhookOptions{URL: r.URL, Timeout: time.Minute}))
		log.add(web, "Complete", "first")
		<-asked
		for n := range 5 {
			log.add(web, "Complete", fmt.Sprint(n))
		}
		close(goOn)
		until(t, "the latest are there", func() bool {
			got := r.got()
			return len(got) == 5 && slices.Equal(got[:4], []string{"first", "2", "3", "4"}) && strings.HasPrefix(got[4], "2 events not delivered to the webhook at 127.0.0.1")
		})
		if got := counts.Lost.Load(); got != 2 {
			t.Errorf("%d are lost, want 2; got %q", got, r.got())
		}
	})
	t.Run("refused", func(t *testing.T) {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, list []event.Event) bool {
			for _, e := range list {
				if e.Message == "bad" {
					w.WriteHeader(http.StatusBadRequest)
					return false
				}
			}
			return true
		})
		log := newMemory(100)
		sink := webhook(t, event.WebhookOptions{URL: r.URL})
		check(t, log.SetCursor(sink.Name(), 0))
		for _, m := range []string{"one", "bad", "two"} {
			log.add(web, "Complete", m)
		}
		counts, _ := deliver(t, log, sink)
		until(t, "the others are there", func() bool {
			got := r.got()
			return len(got) == 3 && got[0] == "one" && got[1] == "two" && strings.HasPrefix(got[2], "1 event not delivered")
		})
		if got := counts.Lost.Load(); got != 1 {
			t.Errorf("%d are lost, want 1", got)
		}
	})
	t.Run("all refused", func(t *testing.T) {
		var requests atomic.Int64
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []event.Event) bool {
			requests.Add(1)
			w.WriteHeader(http.StatusBadRequest)
			return false
		})
		log := newMemory(100)
		sink := webhook(t, event.WebhookOptions{URL: r.URL})
		const again = 20 * time.Millisecond
		counts, _ := deliverAgain(t, log, sink, again)
		start := time.Now()
		log.add(web, "Complete", "one")
		log.add(web, "Complete", "two")
		until(t, "all are lost", func() bool { return counts.Lost.Load() >= 4 })
		if took := time.Since(start); took < 3*again {
			t.Errorf("four events were lost in %v, with no pause in between", took)
		}
		time.Sleep(100 * time.Millisecond) // for what must not happen
		last, _ := log.Last()
		at, _, _ := log.Cursor(sink.Name())
		// Two events and that each was lost. Each is posted alone, and up to once before with the others.
		if n := requests.Load(); last != 4 || at != last || counts.Lost.Load() != last || n > 8 {
			t.Errorf("%d events, %d passed, %d lost, %d requests; want 4 events, all lost, and at most 8 requests", last, at, counts.Lost.Load(), n)
		}
	})
}

// TestWebhookRefuses checks what is refused before anything is sent.
func TestWebhookRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                          `"": want an http or https URL`,
		"ftp://host/":               `"ftp://host/": want an http or https URL`,
		"http://10.0.0.1/secret":    "",
		"https://hooks.example.com": "",
	} {
		if _, err := event.NewWebhook(event.WebhookOptions{URL: url}); fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
	_, err := event.NewWebhook(event.WebhookOptions{URL: "http://10.0.0.1/", AuthorizationFile: "/token"})
	if err == nil || !strings.Contains(err.Error(), "use https") {
		t.Errorf("got %v, want a hint to use https", err)
	}
	secret := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{"": "want one line", "a\nb": "want one line", strings.Repeat("x", 9<<10): "want one line"} {
		check(t, os.WriteFile(secret, []byte(text), 0o600))
		if _, err := event.ReadAuthorization(secret); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: got %v, want %q", text, err, want)
		}
	}
	check(t, os.Chmod(secret, 0o644))
	if _, err := event.ReadAuthorization(secret); err == nil || !strings.Contains(err.Error(), "everybody can read it") {
		t.Errorf("got %v, want a refusal", err)
	}
}
