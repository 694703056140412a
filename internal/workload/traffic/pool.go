package traffic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// A Listener is the wanted state of one Balancer of a Pool.
type Listener struct {
	Name       string     `json:"name"`    // unique, such as that of a Service and its port
	Address    string     `json:"address"` // empty for one that only Rules lead to
	Protocol   Protocol   `json:"protocol,omitempty"`
	Forwarding Forwarding `json:"forwarding,omitempty"`
	TLS        *TLS       `json:"tls,omitempty"`
	// From are the networks of the clients that are accepted; nil for all.
	From  []netip.Prefix `json:"from,omitempty"`
	Route Route          `json:"route"`
	// Rules lead each HTTP request to the backends of another Listener. They take the
	// place of the Route if there are any.
	Rules []Rule `json:"rules,omitempty"`
}

// A Pool holds a set of Balancers, by name. It is safe for concurrent use.
type Pool struct {
	mu        sync.Mutex
	balancers map[string]*pooled
	inherited map[string]*net.TCPListener // of an earlier process, by address; see Inherit
	retired   bool
	closed    bool
}

type pooled struct {
	*Balancer
	spec Listener
}

// NewPool returns an empty Pool. The caller must Close it.
func NewPool() *Pool {
	return &Pool{balancers: map[string]*pooled{}, inherited: map[string]*net.TCPListener{}}
}

// Apply opens, changes and closes Balancers so that they are those of list. It
// returns an error for each one that cannot listen, by name; Apply may be called
// again. A retired Pool opens no address.
func (p *Pool) Apply(ctx context.Context, list []Listener) map[string]error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	wanted := map[string]Listener{}
	for _, l := range list {
		wanted[l.Name] = l
	}
	// First those that end: another may want the address.
	for name, b := range p.balancers {
		if l, ok := wanted[name]; !ok || l.Address != b.spec.Address {
			p.remove(name)
		}
	}
	failed := map[string]error{}
	// Last those with rules, which lead to the others.
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y Listener) int { return cmp.Compare(len(x.Rules), len(y.Rules)) })
	for _, l := range list {
		rules, err := newRouter(l.Rules, p.named)
		if err != nil {
			failed[l.Name] = err
			continue
		}
		b := p.balancers[l.Name]
		if b == nil {
			if p.retired && l.Address != "" {
				continue
			}
			opened, err := p.open(ctx, l, rules)
			if err != nil {
				failed[l.Name] = err
				continue
			}
			b = &pooled{Balancer: opened}
			p.balancers[l.Name] = b
		}
		b.spec = l
		b.SetProtocol(l.Protocol, l.Forwarding)
		b.Set(l.Route)
		b.rules.Store(rules)
		if err := b.SetTLS(l.TLS); err != nil {
			failed[l.Name] = err
		}
	}
	return failed
}

// named returns the Balancer of a name, nil if there is none. The caller holds mu.
func (p *Pool) named(name string) *Balancer {
	if b := p.balancers[name]; b != nil {
		return b.Balancer
	}
	return nil
}

// open starts a Balancer, with a listener that an earlier process left if there is
// one. The caller holds mu.
func (p *Pool) open(ctx context.Context, l Listener, rules *router) (*Balancer, error) {
	o := Options{Address: l.Address, Protocol: l.Protocol, Forwarding: l.Forwarding, TLS: l.TLS, From: l.From, rules: rules}
	if l.Address == "" {
		return Accept(ctx, nil, o)
	}
	listener := p.inherited[l.Address]
	delete(p.inherited, l.Address)
	if listener == nil {
		var beside []string
		for _, b := range p.balancers {
			beside = append(beside, b.spec.Address)
		}
		var err error
		if listener, err = ListenBeside(ctx, l.Address, beside); err != nil {
			return nil, err
		}
	}
	share(listener)
	return Accept(ctx, listener, o)
}

// remove closes a Balancer. The caller holds mu.
func (p *Pool) remove(name string) {
	b := p.balancers[name]
	delete(p.balancers, name)
	b.Close() // only its listener can fail to close, and the next Apply reports an address in use
}

// Counters are the Stats of Balancers, by name, and of their groups.
type Counters map[string]map[string]Stats

// Add adds to the Stats of a group.
func (c Counters) Add(name, group string, s Stats) {
	if c[name] == nil {
		c[name] = map[string]Stats{}
	}
	c[name][group] = c[name][group].Add(s)
}

// Stats returns the counters of the Balancers that are open.
func (p *Pool) Stats(context.Context) Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := Counters{}
	for name, b := range p.balancers {
		all[name] = b.Stats()
	}
	return all
}

// Ended is Balancer.Ended for all Balancers.
func (p *Pool) Ended(_ context.Context, id string) {
	for _, b := range p.all() {
		b.Ended(id)
	}
}

// Drain is Balancer.Drain for all Balancers.
func (p *Pool) Drain(ctx context.Context, id string) error {
	all := p.all()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, b := range all {
		wg.Go(func() { errs[i] = b.Drain(ctx, id) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *Pool) all() []*pooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.balancers))
}

// Listeners returns the state of the Balancers, sorted by name, with the address
// that each listens on.
func (p *Pool) Listeners() []Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Listener
	for _, b := range p.balancers {
		list = append(list, b.spec)
	}
	slices.SortFunc(list, func(x, y Listener) int { return cmp.Compare(x.Name, y.Name) })
	return list
}

// Inherit gives the Pool a listening socket that Apply uses instead of opening one
// at that address. DropInherited closes those that it did not use.
func (p *Pool) Inherit(address string, l *net.TCPListener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inherited[address] = l
}

// DropInherited closes the listeners of Inherit that were not used.
func (p *Pool) DropInherited() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, l := range p.inherited {
		l.Close()
		delete(p.inherited, address)
	}
}

// Sockets calls send with each listening socket, which stays open and must not be
// closed.
func (p *Pool) Sockets(send func(address string, l *net.TCPListener) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, b := range p.balancers {
		if b.listener == nil {
			continue
		}
		if err := send(b.spec.Address, b.listener); err != nil {
			return fmt.Errorf("hand over the listener of %s: %w", name, err)
		}
	}
	return nil
}

// Retire stops listening: another process has the same sockets and accepts the
// clients from now on. Open connections go on until they end; HTTP clients are
// told to connect again with their next response.
func (p *Pool) Retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for _, b := range p.balancers {
		b.retire()
	}
}

// Clients returns the number of connected clients.
func (p *Pool) Clients() int {
	n := 0
	for _, b := range p.all() {
		n += b.connected()
	}
	return n
}

// Close closes all Balancers with whatever is in flight. Apply does nothing from
// then on.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for name := range p.balancers {
		p.remove(name)
	}
	return nil
}
