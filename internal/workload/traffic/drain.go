package traffic

import (
	"context"
	"fmt"
)

// Drain waits until no request and no connection is open on a backend, which
// must have left the route. If ctx ends first it closes the rest, also towards
// the clients, and returns ctx's error. An unknown backend has nothing open.
func (b *Balancer) Drain(ctx context.Context, id string) error {
	for {
		bk, changed, err := b.draining(id)
		if bk == nil {
			return err
		}
		select {
		case <-changed: // the backend may be in the route again
		case <-bk.gone:
		case <-b.ctx.Done():
			return nil
		case <-ctx.Done():
			b.mu.Lock()
			// The backend may have returned to the route since.
			if b.leaving[bk] {
				bk.closeAll()
			}
			b.mu.Unlock()
			return fmt.Errorf("drain %s: %w", id, ctx.Err())
		}
	}
}

// draining returns the leaving backend with an ID, and a channel that the next
// Set closes.
func (b *Balancer) draining(id string) (*backend, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.members[id] != nil {
		return nil, nil, fmt.Errorf("drain %s: it is in the route", id)
	}
	for bk := range b.leaving {
		if bk.ID == id {
			return bk, b.changed, nil
		}
	}
	return nil, nil, nil
}

// Ended tells the Balancer that the processes of a backend which left the route
// have ended. A connection of it ends as soon as the client has everything that the
// backend sent: nobody reads what the client may still send.
func (b *Balancer) Ended(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for bk := range b.leaving {
		if bk.ID != id {
			continue
		}
		bk.ended = true
		for u := range bk.open {
			if u.spoken && u.client != nil {
				u.client.SetReadDeadline(past)
			}
		}
	}
}

// passedAll notes that the client has everything that u's backend sent. If the
// backend has ended it ends the reading of the client, too.
func (b *Balancer) passedAll(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u.spoken = true
	if u.backend.ended && u.client != nil {
		u.client.SetReadDeadline(past)
	}
}
