package balancer_test

import (
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

// openImpatient opens a Remote that waits only a moment for a process.
func (l *lab) openImpatient() *balancer.Remote {
	l.t.Helper()
	r, err := balancer.Open(l.t.Context(), balancer.Options{
		Dir: l.dir, Command: []string{l.program, "balancer"}, Log: func(err error) { l.t.Log(err) }, HungAfter: 1500 * time.Millisecond,
	})
	check(l.t, err)
	return r
}

// TestHung stops the process (SIGSTOP), while a daemon runs and before one starts: it is
// killed, and another one answers.
func TestHung(t *testing.T) {
	l := newLab(t)
	r := l.openImpatient()
	l.apply(r)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	hang := func(then func()) {
		t.Helper()
		before := l.primary().PID
		check(t, syscall.Kill(before, syscall.SIGSTOP))
		then()
		l.until("a request is answered", func() bool { return request(client, "http://"+l.listener.Address, false) == nil })
		if got := l.primary(); got.PID == before || len(got.Listeners) != 3 {
			t.Errorf("got %+v, before it was %d", got, before)
		}
		if err := syscall.Kill(before, 0); err == nil {
			l.until("the hung process has ended", func() bool { return syscall.Kill(before, 0) != nil })
		}
	}
	hang(func() {})
	check(t, r.Close())
	hang(func() {
		r = l.openImpatient()
		l.apply(r)
	})
	defer r.Close()

	// What the routes lead to is known to the next daemon.
	host, _, err := net.SplitHostPort(l.listener.Route.Backends[0].Address)
	check(t, err)
	if got := r.Backends(t.Context()); len(got) != 2 || got["a"] != host || got["b"] != host {
		t.Errorf("the backends are %v", got)
	}
	l.listener.Route.Backends = slices.Clip(l.listener.Route.Backends[:0])
	l.apply(r)
	if got := r.Backends(t.Context()); len(got) != 1 || got["b"] != host {
		t.Errorf("without one the backends are %v", got)
	}
}

// TestCountersNeverDecrease kills and replaces the process: what it counted stays.
func TestCountersNeverDecrease(t *testing.T) {
	l := newLab(t)
	r := l.open()
	defer r.Close()
	l.apply(r)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}
	for range 5 {
		check(t, request(client, "http://"+l.listener.Address, false))
	}
	l.until("five are counted", func() bool { return r.Stats(t.Context())["web"]["g"].Requests == 5 })
	check(t, syscall.Kill(l.primary().PID, syscall.SIGKILL))
	l.until("a request is answered", func() bool { return request(client, "http://"+l.listener.Address, false) == nil })
	l.until("six are counted", func() bool {
		got := r.Stats(t.Context())["web"]["g"].Requests
		if got < 5 {
			t.Fatalf("the counter went back to %d", got)
		}
		return got == 6
	})
}
