package traffic

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

const (
	dialLimit = 3 * time.Second
	dialAgain = 50 * time.Millisecond // until backends that refused are tried again
)

var (
	errNoBackend   = errors.New("no backend")
	errUnreachable = errors.New("no backend can be reached")
)

// A demand describes the connection that a client needs.
type demand struct {
	client   *net.TCPConn
	state    state
	idleTime time.Duration // how long a reused connection may have been idle; 0 for a new connection
	avoid    *backend      // is not chosen; nil for none
}

// acquire chooses a backend and returns a connection to it, which must be
// released. It tries the other backends if one cannot be reached, and waits for
// one if there is none.
func (b *Balancer) acquire(n demand) (*upstream, error) {
	var tried, blamed []*backend
	if n.avoid != nil {
		tried = append(tried, n.avoid)
	}
	var timeout <-chan time.Time
	for {
		u, bk, changed := b.choose(n, tried)
		for u != nil && !u.quiet() { // closed meanwhile by the backend, as it may do at any time
			u = b.nextIdle(n, u)
		}
		if u != nil {
			return u, nil
		}
		if bk != nil {
			u, err := b.dial(n, bk)
			if err == nil {
				return u, nil
			}
			b.dialFailed(bk, !slices.Contains(blamed, bk))
			tried, blamed = append(tried, bk), append(blamed, bk)
			continue
		}
		if n.avoid != nil && len(tried) == 1 {
			return nil, errUnreachable // there is no other
		}
		if timeout == nil {
			timeout = time.After(b.options.BackendTimeout)
		}
		refused := len(tried) > 0
		var again <-chan time.Time
		if refused {
			again = time.After(dialAgain)
		}
		select {
		case <-changed:
		case <-again:
		case <-b.ctx.Done():
			return nil, net.ErrClosed
		case <-timeout:
			if refused {
				return nil, errUnreachable
			}
			return nil, errNoBackend
		}
		// All backends were tried, and each may be reachable after the wait.
		tried = nil
	}
}

// choose picks a backend that is not in tried and counts a request for it. It
// returns an idle connection to it if there is a suitable one.
func (b *Balancer) choose(n demand, tried []*backend) (*upstream, *backend, <-chan struct{}) {
	since := n.usedAfter()
	b.mu.Lock()
	defer b.mu.Unlock()
	bk := b.pick(tried)
	if bk == nil {
		return nil, nil, b.changed
	}
	bk.active++
	bk.stats.Requests++
	bk.stats.Active++
	return bk.popIdle(n, since), bk, nil
}

// usedAfter returns the time after which a reused connection must have been
// used.
func (n demand) usedAfter() time.Time {
	if n.idleTime == 0 {
		return time.Time{}
	}
	return time.Now().Add(-n.idleTime)
}

// nextIdle closes u and returns the next idle connection to its backend.
func (b *Balancer) nextIdle(n demand, u *upstream) *upstream {
	since := n.usedAfter()
	b.mu.Lock()
	defer b.mu.Unlock()
	u.Close()
	delete(u.backend.open, u)
	return u.backend.popIdle(n, since)
}

// dial opens a connection to bk, for which a request was counted.
func (b *Balancer) dial(n demand, bk *backend) (*upstream, error) {
	ctx, cancel := context.WithTimeout(b.ctx, dialLimit)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", bk.Address)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	limitUnsent(tcp)
	u := &upstream{conn: newConn(tcp), backend: bk, client: n.client, state: n.state}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	bk.open[u] = struct{}{}
	// The backend left the route while it was dialed, when leave could not
	// close this connection.
	if n.state == undecided && b.leaving[bk] {
		c.Close()
	}
	return u, nil
}

// dialFailed reverts choose for a backend that could not be reached. An error
// is counted once per request, whose retries would multiply it.
func (b *Balancer) dialFailed(bk *backend, blame bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if blame && !b.closed {
		bk.stats.Errors++
	} else {
		bk.stats.Requests--
	}
	b.done(bk)
}

// done ends a request or connection of bk. The caller holds mu.
func (b *Balancer) done(bk *backend) {
	bk.active--
	bk.stats.Active--
	b.finishLeaving(bk)
}

// release ends the use of u. A reusable connection is kept for another request.
func (b *Balancer) release(u *upstream, reusable bool) {
	var now time.Time
	if reusable {
		now = time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bk := u.backend
	u.client = nil
	// leave has closed the idle connections of a backend that left the route,
	// and nothing would close one that became idle later.
	if reusable && !b.closed && !u.cut && b.members[bk.ID] == bk && len(bk.idle) < maxIdle {
		u.state, u.used, u.reused = idle, now, true
		bk.idle = append(bk.idle, u)
	} else {
		u.Close()
		delete(bk.open, u)
	}
	b.done(bk)
}

// cancelRequest releases u without counting its request, which is sent to another
// backend.
func (b *Balancer) cancelRequest(u *upstream) {
	b.mu.Lock()
	u.backend.stats.Requests--
	b.refund(u.backend)
	b.mu.Unlock()
	b.release(u, false)
}

// claim makes an undecided connection busy. It returns false if the backend
// left the route and the connection was closed.
func (b *Balancer) claim(u *upstream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving[u.backend] {
		return false
	}
	u.state = busy
	return true
}

// left reports whether u's backend has left the route.
func (b *Balancer) left(u *upstream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.members[u.backend.ID] != u.backend
}
