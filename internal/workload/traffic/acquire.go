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
	dialAgain = 50 * time.Millisecond // until backends that refused are asked again
)

var (
	errNoBackend   = errors.New("no backend")
	errUnreachable = errors.New("no backend can be reached")
)

// A need is what a client wants of a connection to a backend.
type need struct {
	client *net.TCPConn
	state  state
	kept   time.Duration // how long an idle connection may have been so; 0 asks for a new one
}

// acquire chooses a backend and returns a connection to it, which must be
// released. Where the backend cannot be reached, the others are tried; if there
// is none it waits for one.
func (b *Balancer) acquire(n need) (*upstream, error) {
	var tried, blamed []*backend
	var patience <-chan time.Time
	for {
		u, bk, changed := b.choose(n, tried)
		for u != nil && !u.quiet() { // closed by the backend in the meantime, which is its right
			u = b.instead(n, u)
		}
		if u != nil {
			return u, nil
		}
		if bk != nil {
			u, err := b.dial(n, bk)
			if err == nil {
				return u, nil
			}
			b.abandon(bk, !slices.Contains(blamed, bk))
			tried, blamed = append(tried, bk), append(blamed, bk)
			continue
		}
		if patience == nil {
			patience = time.After(b.options.Patience)
		}
		if err := b.await(patience, changed, len(tried) > 0); err != nil {
			return nil, err
		}
		tried = nil
	}
}

// choose picks a backend that is not among tried, and counts a request for it.
// It returns an idle connection to it where one serves.
func (b *Balancer) choose(n need, tried []*backend) (*upstream, *backend, <-chan struct{}) {
	since := n.since()
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

// since is when an idle connection must have been used.
func (n need) since() time.Time {
	if n.kept == 0 {
		return time.Time{}
	}
	return time.Now().Add(-n.kept)
}

// instead closes u and returns the next idle connection to its backend.
func (b *Balancer) instead(n need, u *upstream) *upstream {
	since := n.since()
	b.mu.Lock()
	defer b.mu.Unlock()
	u.Close()
	delete(u.backend.open, u)
	return u.backend.popIdle(n, since)
}

// await waits until there may be a backend again.
func (b *Balancer) await(patience <-chan time.Time, changed <-chan struct{}, refused bool) error {
	var again <-chan time.Time
	if refused {
		again = time.After(dialAgain)
	}
	select {
	case <-changed:
		return nil
	case <-again:
		return nil
	case <-b.ctx.Done():
		return net.ErrClosed
	case <-patience:
	}
	if refused {
		return errUnreachable
	}
	return errNoBackend
}

// dial opens a connection to bk, for which a request was counted.
func (b *Balancer) dial(n need, bk *backend) (*upstream, error) {
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
	if n.state == undecided && b.leaving[bk] {
		c.Close() // leave would have
	}
	return u, nil
}

// abandon ends what choose began, for a backend that could not be reached.
func (b *Balancer) abandon(bk *backend, blame bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if blame && !b.closed {
		bk.stats.Errors++
	} else {
		bk.stats.Requests--
	}
	b.done(bk)
}

// done ends a request or connection of bk. It is called with mu held.
func (b *Balancer) done(bk *backend) {
	bk.active--
	bk.stats.Active--
	b.settle(bk)
}

// release ends the use of u. If it is reusable it is kept for a next request.
func (b *Balancer) release(u *upstream, reusable bool) {
	var now time.Time
	if reusable {
		now = time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bk := u.backend
	u.client = nil
	if reusable && !b.closed && !u.cut && b.members[bk.ID] == bk && len(bk.idle) < maxIdle {
		u.state, u.used, u.reused = idle, now, true
		bk.idle = append(bk.idle, u)
	} else {
		u.Close()
		delete(bk.open, u)
	}
	b.done(bk)
}

// forgive releases u and does not count its request, which is balanced anew.
func (b *Balancer) forgive(u *upstream) {
	b.mu.Lock()
	u.backend.stats.Requests--
	b.refund(u.backend)
	b.mu.Unlock()
	b.release(u, false)
}

// claim makes an undecided connection a busy one. It reports false if the
// backend left the route in the meantime and the connection is closed.
func (b *Balancer) claim(u *upstream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.leaving[u.backend] {
		return false
	}
	u.state = busy
	return true
}

// left reports whether u's backend is out of the route.
func (b *Balancer) left(u *upstream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.members[u.backend.ID] != u.backend
}
