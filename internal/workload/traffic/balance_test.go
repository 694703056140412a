package traffic_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestRequestsOfOneConnectionAreBalanced checks that one kept connection
// reaches all backends equally.
func TestRequestsOfOneConnectionAreBalanced(t *testing.T) {
	for _, p := range []traffic.Protocol{traffic.HTTP, traffic.Auto} {
		b := listen(t, traffic.Options{Protocol: p}, named(t, "a"), named(t, "b"), named(t, "c"))
		got := count(t, b, 30)
		if want := map[string]int{"a": 10, "b": 10, "c": 10}; !maps.Equal(got, want) {
			t.Errorf("protocol %d: got %v, want %v", p, got, want)
		}
	}
}

// count sends n requests over one connection and counts the responses of each
// backend.
func count(t *testing.T, b *traffic.Balancer, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	client := keepAlive(t)
	for range n {
		_, body := get(client, b, "/")
		got[body]++
	}
	return got
}

func TestShares(t *testing.T) {
	a1, a2, b1 := named(t, "a"), named(t, "a"), named(t, "b")
	a1.ID, a2.ID = "a1", "a2"
	down := refusing(t, "down")
	for _, tt := range []struct {
		name     string
		backends []traffic.Backend
		shares   map[string]int
		want     map[string]int // of 100
	}{
		{"none: every backend the same", []traffic.Backend{a1, a2, b1}, nil, map[string]int{"a": 67, "b": 33}},
		{"by group", []traffic.Backend{a1, a2, b1}, map[string]int{"a": 1, "b": 1}, map[string]int{"a": 50, "b": 50}},
		{"a tenth", []traffic.Backend{a1, a2, b1}, map[string]int{"a": 90, "b": 10}, map[string]int{"a": 90, "b": 10}},
		{"nothing for one", []traffic.Backend{a1, a2, b1}, map[string]int{"a": 0, "b": 5}, map[string]int{"b": 100}},
		{"nothing for one that is not named", []traffic.Backend{a1, a2, b1}, map[string]int{"a": 5}, map[string]int{"a": 100}},
		{"of a group without backends", []traffic.Backend{b1}, map[string]int{"a": 5, "b": 1}, map[string]int{"b": 100}},
		{"of one that cannot be reached", []traffic.Backend{down, b1}, map[string]int{"down": 5, "b": 1}, map[string]int{"b": 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Protocol: traffic.HTTP})
			b.Set(traffic.Route{Backends: tt.backends, Shares: tt.shares})
			if got := count(t, b, 100); !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestSharesOfBackendsThatCloseTheirConnections checks that a backend which
// closes its connection after each response keeps its share.
func TestSharesOfBackendsThatCloseTheirConnections(t *testing.T) {
	const a, b = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"
	bal := listen(t, traffic.Options{Protocol: traffic.HTTP})
	bal.Set(traffic.Route{Backends: []traffic.Backend{saying(t, "a", a), saying(t, "b", b)}, Shares: map[string]int{"a": 3, "b": 1}})
	if got, want := count(t, bal, 100), map[string]int{"a": 75, "b": 25}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestStatsCountByGroup(t *testing.T) {
	status := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(len(r.URL.Path)) }
	ok := serveHTTP(t, "ok", status)
	b := listen(t, traffic.Options{Protocol: traffic.HTTP, BackendTimeout: time.Millisecond}, ok)
	client := keepAlive(t)
	get(client, b, strings.Repeat("/", 404))
	get(client, b, strings.Repeat("/", 200))
	get(client, b, strings.Repeat("/", 500))
	for _, bad := range []traffic.Backend{refusing(t, "refuses"), saying(t, "silent", ""), saying(t, "malformed", "HELO\r\n\r\n")} {
		b.Set(traffic.Route{Backends: []traffic.Backend{bad}})
		if code, body := get(client, b, "/"); code != http.StatusBadGateway {
			t.Errorf("%s: got %d %s", bad.ID, code, body)
		}
	}
	one := traffic.Stats{Requests: 1, Errors: 1}
	want := map[string]traffic.Stats{"ok": {Requests: 3, Errors: 1}, "refuses": one, "silent": one, "malformed": one}
	if diff := cmp.Diff(b.Stats(), want); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

func TestNoBackend(t *testing.T) {
	for _, p := range []traffic.Protocol{traffic.HTTP, traffic.Auto} {
		b := listen(t, traffic.Options{Protocol: p, BackendTimeout: time.Millisecond})
		if code, body := get(keepAlive(t), b, "/"); code != http.StatusServiceUnavailable {
			t.Errorf("protocol %d: got %d %s", p, code, body)
		}
	}
	for _, p := range []traffic.Protocol{traffic.TCP, traffic.Auto} {
		_, r := dial(t, listen(t, traffic.Options{Protocol: p, BackendTimeout: time.Millisecond}))
		if line, err := r.ReadString('\n'); err == nil || isTimeout(err) {
			t.Errorf("protocol %d: got %q, %v", p, line, err)
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// TestWaitsForABackend checks that a client that comes while there is no
// backend is served by the next one.
func TestWaitsForABackend(t *testing.T) {
	for _, p := range []traffic.Protocol{traffic.HTTP, traffic.Auto} {
		b := listen(t, traffic.Options{Protocol: p, BackendTimeout: soon})
		answers := make(chan string)
		client := keepAlive(t)
		go func() {
			_, body := get(client, b, "/")
			answers <- body
		}()
		b.Set(traffic.Route{})
		b.Set(traffic.Route{Backends: []traffic.Backend{named(t, "late")}})
		if got := <-answers; got != "late" {
			t.Errorf("protocol %d: got %s", p, got)
		}
	}
}

func TestRefusedDialsGoElsewhere(t *testing.T) {
	b := listen(t, traffic.Options{}, refusing(t, "down"), named(t, "up"))
	if got := count(t, b, 20); got["up"] != 20 {
		t.Errorf("got %v", got)
	}
}

func TestAddressTaken(t *testing.T) {
	b := listen(t, traffic.Options{})
	_, err := traffic.Listen(t.Context(), traffic.Options{Address: b.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), b.Addr().String()) {
		t.Errorf("got %v, want one that names %s", err, b.Addr())
	}
}

func TestCloseEndsEverything(t *testing.T) {
	inFlight := make(chan struct{})
	slow := serveHTTP(t, "slow", func(_ http.ResponseWriter, r *http.Request) { close(inFlight); <-r.Context().Done() })
	b := listen(t, traffic.Options{}, slow)
	client := keepAlive(t)
	answers := make(chan int)
	go func() {
		code, _ := get(client, b, "/")
		answers <- code
	}()
	dial(t, b)
	dial(t, listen(t, traffic.Options{Protocol: traffic.TCP, BackendTimeout: time.Hour}))
	<-inFlight
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if code := <-answers; code != 0 {
		t.Errorf("got status %d after Close", code)
	}
	if err := b.Close(); err != nil {
		t.Error("again:", err)
	}
	b.Set(traffic.Route{Backends: []traffic.Backend{slow}})
	if groups := slices.Collect(maps.Keys(b.Stats())); !slices.Equal(groups, []string{"slow"}) {
		t.Errorf("groups after Close: %v", groups)
	}
}
