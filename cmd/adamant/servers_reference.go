package main

import (
	"context"
	"errors"

	"github.com/adamant-sh/adamant/internal/servers"
)

const baselineUsage = "what is right, whatever most have: a server, the file of a snapshot, or an image (a file or a reference)"

// openReference opens the reference that --baseline names. It can be compared with
// until ctx ends.
func openReference(ctx context.Context, g *servers.Group, name string) (*servers.Reference, error) {
	ref, err := g.OpenReference(ctx, name)
	if errors.Is(err, servers.ErrNoReference) {
		return nil, hint{usagef("--baseline names none of the servers: %w", err), "adamant servers snapshot writes a snapshot; an image is a file, or a reference such as ghcr.io/acme/web:1.2"}
	}
	return ref, err
}
