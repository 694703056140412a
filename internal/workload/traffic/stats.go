package traffic

// Stats counts the traffic of a group since the Balancer started.
type Stats struct {
	Requests uint64 `json:"requests"` // HTTP requests, and connections of other protocols
	Errors   uint64 `json:"errors"`   // of those: failed dials, missing or malformed responses, HTTP status 500 and above
	Active   int    `json:"active"`   // currently open
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

// Add returns the sum of two counters.
func (s Stats) Add(o Stats) Stats {
	return Stats{s.Requests + o.Requests, s.Errors + o.Errors, s.Active + o.Active}
}

// Since returns what was counted after before, which may be of a Balancer that was
// closed since.
func (s Stats) Since(before Stats) Stats {
	if s.Requests < before.Requests || s.Errors < before.Errors {
		return s
	}
	return Stats{s.Requests - before.Requests, s.Errors - before.Errors, s.Active}
}
