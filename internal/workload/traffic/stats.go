package traffic

// Stats counts what a group got since the Balancer listens.
type Stats struct {
	Requests uint64 // HTTP requests, and connections of other protocols
	Errors   uint64 // of those: dials that failed, no or a malformed answer, HTTP status 500 and above
	Active   int    // open now
}

// Stats returns the counters of every group that was ever in the route. A
// request that is sent again to another backend counts for both.
func (b *Balancer) Stats() map[string]Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]Stats, len(b.stats))
	for name, s := range b.stats {
		all[name] = *s
	}
	return all
}

// groupStats are a group's counters. It is called with mu held.
func (b *Balancer) groupStats(name string) *Stats {
	s := b.stats[name]
	if s == nil {
		s = &Stats{}
		b.stats[name] = s
	}
	return s
}

// blame counts an error of u's backend, unless it was us who broke off.
func (b *Balancer) blame(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !u.cut && !b.closed {
		u.backend.stats.Errors++
	}
}
