package balancer

import (
	"context"
	"errors"

	"github.com/adamant-sh/adamant/internal/workload/names"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// NamesListener is the name of the DNS server among the listeners.
const NamesListener = "dns"

// A Local balances traffic and answers names in this process. It implements
// local.Balancer. It is safe for concurrent use.
type Local struct {
	*traffic.Pool
	names *names.Server
}

// NewLocal returns a Local without listeners. The caller must Close it.
func NewLocal() *Local { return &Local{traffic.NewPool(), names.New(names.Options{})} }

// Apply implements local.Balancer.
func (l *Local) Apply(ctx context.Context, list []traffic.Listener, zone *names.Zone) map[string]error {
	return apply(ctx, l.Pool, l.names, applyRequest{list, zone})
}

// Close stops all listeners.
func (l *Local) Close() error { return errors.Join(l.names.Close(), l.Pool.Close()) }

// apply is traffic.Pool.Apply and names.Server.Set.
func apply(ctx context.Context, pool *traffic.Pool, server *names.Server, q applyRequest) map[string]error {
	// Names first: pods may use one as soon as it leads somewhere.
	err := server.Set(q.Names)
	failed := pool.Apply(ctx, q.Listeners)
	if err != nil && failed != nil { // nil if the pool is closed
		failed[NamesListener] = err
	}
	return failed
}
