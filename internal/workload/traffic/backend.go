package traffic

import (
	"net"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
)

const (
	maxIdle     = 128              // connections kept for each backend
	idleLimit   = 20 * time.Second // how long one is kept
	safelyFresh = time.Second      // no server closes a connection that was used this lately
)

// A backend is what the Balancer knows of one Backend. Its fields are guarded by
// the Balancer's mu.
type backend struct {
	Backend
	stats  *Stats // its group's
	active int    // requests and connections
	picked uint64 // when it was last chosen, in picks
	open   map[*upstream]struct{}
	idle   []*upstream   // of open, the last used at the end
	gone   chan struct{} // closed when it has left the route and nothing is active
}

// enter returns the backend that is already known by spec, or a new one. It is
// called with mu held.
func (b *Balancer) enter(before map[string]*backend, spec Backend) *backend {
	if bk := before[spec.ID]; bk != nil && bk.Backend == spec {
		return bk
	}
	for bk := range b.leaving {
		if bk.Backend == spec {
			delete(b.leaving, bk)
			return bk
		}
	}
	return &backend{
		Backend: spec, stats: b.groupStats(spec.Group),
		open: map[*upstream]struct{}{}, gone: make(chan struct{}),
	}
}

// leave takes bk out of use: connections that carry nothing are closed. It is
// called with mu held.
func (b *Balancer) leave(bk *backend) {
	for u := range bk.open {
		if u.state != busy {
			u.Close()
		}
		if u.state == idle {
			delete(bk.open, u)
		}
	}
	bk.idle = nil
	b.leaving[bk] = true
	b.settle(bk)
}

// settle lets a backend go that left the route and has nothing to do. It is
// called with mu held.
func (b *Balancer) settle(bk *backend) {
	if b.leaving[bk] && bk.active == 0 {
		delete(b.leaving, bk)
		close(bk.gone)
	}
}

// backends are all that have something open. It is called with mu held.
func (b *Balancer) backends() []*backend {
	var all []*backend
	for _, bk := range b.members {
		all = append(all, bk)
	}
	for bk := range b.leaving {
		all = append(all, bk)
	}
	return all
}

// closeAll closes all connections, and those of the clients that use them. It is
// called with mu held.
func (bk *backend) closeAll() {
	for u := range bk.open {
		u.cut = true
		u.Close()
		if u.client != nil {
			u.client.Close()
		}
	}
}

// popIdle takes the connection that was used last, since the others may then
// grow old and be closed, for n. Nil if there is none that was used after since,
// or a new one is needed. It is called with mu held.
func (bk *backend) popIdle(n need, since time.Time) *upstream {
	last := len(bk.idle) - 1
	if n.kept == 0 || last < 0 || bk.idle[last].used.Before(since) {
		return nil
	}
	u := bk.idle[last]
	bk.idle = bk.idle[:last]
	u.client, u.state = n.client, n.state
	return u
}

// reap closes connections that were not used for long.
func (b *Balancer) reap() {
	for b.ctx.Err() == nil {
		clock.Sleep(b.ctx, idleLimit/2)
		b.mu.Lock()
		oldest := time.Now().Add(-idleLimit)
		for _, bk := range b.members {
			n := slices.IndexFunc(bk.idle, func(u *upstream) bool { return u.used.After(oldest) })
			if n < 0 {
				n = len(bk.idle)
			}
			for _, u := range bk.idle[:n] {
				u.Close()
				delete(bk.open, u)
			}
			bk.idle = slices.Delete(bk.idle, 0, n)
		}
		b.mu.Unlock()
	}
}

// state is what an upstream is used for.
type state uint8

const (
	busy      state = iota // carries a request or a connection
	undecided              // open for a client that said nothing yet, nor did the backend
	idle                   // open for a next request
)

// An upstream is a connection to a backend. All but conn is guarded by the
// Balancer's mu.
type upstream struct {
	*conn
	backend *backend
	client  *net.TCPConn // that uses it; nil while it is idle
	state   state
	used    time.Time // when it last became idle
	reused  bool      // carried a request before
	cut     bool      // closed by us while it was in use
}
