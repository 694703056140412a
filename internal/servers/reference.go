package servers

import (
	"context"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/reference"
)

// ErrNoReference is returned when a name is neither that of a server nor of a
// snapshot or an image.
var ErrNoReference = reference.ErrNotFound

// A Reference is the state that servers should have: one of the servers, a
// snapshot or an image. Without one the majority decides.
type Reference struct {
	server string // the name of one of the servers
	opened *reference.Reference
}

// OpenReference opens a reference, which can be compared with until ctx ends. An empty
// name is no reference.
func (g *Group) OpenReference(ctx context.Context, name string) (*Reference, error) {
	if name == "" || slices.ContainsFunc(g.Hosts, func(h Host) bool { return h.Name == name }) {
		return &Reference{server: name}, nil
	}
	if i := slices.IndexFunc(g.Refused, func(r Refusal) bool { return r.Host == name }); i >= 0 {
		return nil, noReference(name, g.Refused[i].Err.Error())
	}
	opened, err := reference.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Reference{opened: opened}, nil
}

// peer returns the peer of a reference that is none of the servers, else nil.
func (r *Reference) peer() *facts.Peer {
	if r.opened == nil {
		return nil
	}
	return r.opened.Peer
}

// Close releases a snapshot or an image.
func (r *Reference) Close() {
	if r.opened != nil {
		r.opened.Close()
	}
}
