package traffic

import (
	"maps"
	"slices"
	"strings"
)

// A Route is the set of backends that get traffic.
type Route struct {
	Backends []Backend `json:"backends,omitempty"`

	// Shares divides new requests and connections among groups, relative to
	// each other. A group with share 0, or that is not in Shares, gets nothing.
	// Nil gives every backend the same.
	Shares map[string]int `json:"shares,omitempty"`
}

// A Backend is an address that traffic is sent to.
type Backend struct {
	ID      string `json:"id"`      // unique name, such as that of a pod
	Address string `json:"address"` // host:port
	Group   string `json:"group"`   // backends that share a part of the traffic, such as a generation
}

// A group holds the backends of the route that share a part of the traffic.
type group struct {
	name    string
	share   int
	credit  int // weight in the round robin of pick
	members []*backend
}

// Set replaces the route at once. A backend that leaves the route gets nothing
// new and finishes its open requests. A backend with another address or group
// than before is a new backend.
func (b *Balancer) Set(r Route) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	before := b.members
	b.members = make(map[string]*backend, len(r.Backends))
	groups := map[string]*group{}
	for _, spec := range r.Backends {
		if _, twice := b.members[spec.ID]; twice {
			continue
		}
		bk := b.enter(before, spec)
		b.members[spec.ID] = bk
		g := groups[spec.Group]
		if g == nil {
			g = b.newGroup(spec.Group)
			groups[spec.Group] = g
		}
		g.members = append(g.members, bk)
	}
	for id, bk := range before {
		if b.members[id] != bk {
			b.leave(bk)
		}
	}
	b.groups = slices.Collect(maps.Values(groups))
	slices.SortFunc(b.groups, func(x, y *group) int { return strings.Compare(x.name, y.name) })
	for _, g := range b.groups {
		g.share = len(g.members)
		if r.Shares != nil {
			g.share = max(r.Shares[g.name], 0)
		}
	}
	// This wakes the requests that wait for a backend, and Drain, whose backend
	// may be in the route again.
	close(b.changed)
	b.changed = make(chan struct{})
}

// newGroup returns an empty group with the credit of the existing one of that
// name, so that frequent updates of the route do not distort the shares. The
// caller holds mu.
func (b *Balancer) newGroup(name string) *group {
	g := &group{name: name}
	if i := slices.IndexFunc(b.groups, func(old *group) bool { return old.name == name }); i >= 0 {
		g.credit = b.groups[i].credit
	}
	return g
}

// pick chooses a backend that is not in tried: the least busy one of the group
// whose turn it is, and among equals the one that was chosen longest ago. Turns
// are a smooth weighted round robin (as in nginx), so that shares hold over a
// few requests and not only in the long run. The caller holds mu.
func (b *Balancer) pick(tried []*backend) *backend {
	var group *group
	var best *backend
	total := 0
	for _, g := range b.groups {
		if g.share == 0 {
			continue
		}
		idlest := g.idlest(tried)
		if idlest == nil {
			continue
		}
		total += g.share
		g.credit += g.share
		if group == nil || g.credit > group.credit {
			group, best = g, idlest
		}
	}
	if best != nil {
		group.credit -= total
		b.picks++
		best.picked = b.picks
	}
	return best
}

// refund reverts a turn that pick gave to bk's group. The caller holds mu.
func (b *Balancer) refund(bk *backend) {
	total := 0
	for _, g := range b.groups {
		g.credit -= g.share
		total += g.share
	}
	for _, g := range b.groups {
		if g.name == bk.Group {
			g.credit += total
		}
	}
}

// idlest returns the least busy member that is not in tried.
func (g *group) idlest(tried []*backend) *backend {
	var best *backend
	for _, m := range g.members {
		if slices.Contains(tried, m) {
			continue
		}
		if best == nil || m.active < best.active || m.active == best.active && m.picked < best.picked {
			best = m
		}
	}
	return best
}
