package traffic

// Stats counts the traffic of a group since the Balancer started.
type Stats struct {
	Requests uint64 // HTTP requests, and connections of other protocols
	Errors   uint64 // of those: failed dials, missing or malformed responses, HTTP status 500 and above
	Active   int    // currently open
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

// groupStats returns the counters of a group. The caller holds mu.
func (b *Balancer) groupStats(name string) *Stats {
	s := b.stats[name]
	if s == nil {
		s = &Stats{}
		b.stats[name] = s
	}
	return s
}

// countError counts an error of u's backend unless this package closed the
// connection.
func (b *Balancer) countError(u *upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !u.cut && !b.closed {
		u.backend.stats.Errors++
	}
}
