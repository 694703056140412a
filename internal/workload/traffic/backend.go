package traffic

import (
	"net"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
)

const (
	maxIdle    = 128              // idle connections of each backend
	idleLimit  = 20 * time.Second // how long an idle connection is kept
	freshLimit = time.Second      // a server closes no connection that was used within this time
)

// A backend is the live state of a Backend. The Balancer's mu guards it.
type backend struct {
	Backend
	stats  *Stats // of its group
	active int    // requests and connections
	picked uint64 // value of Balancer.picks when it was last chosen
	open   map[*upstream]struct{}
	idle   []*upstream   // subset of open, ordered by use
	gone   chan struct{} // closed when it left the route and nothing is active
	ended  bool          // its processes have ended, see Ended
}

// enter returns the existing backend of a spec or a new one. The caller holds
// mu.
func (b *Balancer) enter(before map[string]*backend, spec Backend) *backend {
	if bk := before[spec.ID]; bk != nil && bk.Backend == spec {
		return bk
	}
	for bk := range b.leaving {
		if bk.Backend == spec {
			delete(b.leaving, bk)
			bk.ended = false
			return bk
		}
	}
	return &backend{
		Backend: spec, stats: b.groupStats(spec.Group),
		open: map[*upstream]struct{}{}, gone: make(chan struct{}),
	}
}

// leave takes bk out of use and closes its connections that carry nothing. The
// caller holds mu.
func (b *Balancer) leave(bk *backend) {
	for u := range bk.open {
		if u.state != busy {
			u.Close()
		}
		// An undecided connection belongs to a session, which releases it.
		if u.state == idle {
			delete(bk.open, u)
		}
	}
	bk.idle = nil
	b.leaving[bk] = true
	b.finishLeaving(bk)
}

// finishLeaving removes a backend that left the route and has nothing active.
// The caller holds mu.
func (b *Balancer) finishLeaving(bk *backend) {
	if b.leaving[bk] && bk.active == 0 {
		delete(b.leaving, bk)
		close(bk.gone)
	}
}

// backends returns all backends that may have open connections. The caller
// holds mu.
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

// closeAll closes all connections and those of the clients that use them. The
// caller holds mu.
func (bk *backend) closeAll() {
	for u := range bk.open {
		u.cut = true
		u.Close()
		if u.client != nil {
			u.client.Close()
		}
	}
}

// popIdle returns the idle connection that was used last, so that the others
// grow old and are closed. It returns nil if none was used after since or a new
// connection is needed. The caller holds mu.
func (bk *backend) popIdle(n demand, since time.Time) *upstream {
	last := len(bk.idle) - 1
	if n.idleTime == 0 || last < 0 || bk.idle[last].used.Before(since) {
		return nil
	}
	u := bk.idle[last]
	bk.idle = bk.idle[:last]
	u.client, u.state = n.client, n.state
	return u
}

// reap closes idle connections after idleLimit.
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

// state is the use of an upstream.
type state uint8

const (
	busy      state = iota // carries a request or a connection
	undecided              // open for a client, but neither side has sent anything
	idle                   // open for another request
)

// An upstream is a connection to a backend. The Balancer's mu guards all fields
// but conn.
type upstream struct {
	*conn
	backend *backend
	client  *net.TCPConn // current user; nil while it is idle
	state   state
	used    time.Time // when it last became idle
	reused  bool      // carried a request before
	cut     bool      // closed by this package while it was in use
	spoken  bool      // the client has everything that the backend sent
}
