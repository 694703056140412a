package main

import (
	"context"
	"errors"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/reference"
)

const baselineUsage = "what is right, whatever most have: a server, the file of a snapshot, or an image (a file or a reference)"

// A yardstick is what servers are measured against; the zero value is that most
// decide.
type yardstick struct {
	name string
	peer *facts.Peer // nil if it is one of the servers
	open *reference.Baseline
}

func (y *yardstick) close() {
	if y.open != nil {
		y.open.Close()
	}
}

// openBaseline opens what a name means, for as many comparisons as are made while
// ctx lasts.
func openBaseline(ctx context.Context, name string, hosts []inventory.Host) (*yardstick, error) {
	if name == "" || slices.ContainsFunc(hosts, func(h inventory.Host) bool { return h.Name == name }) {
		return &yardstick{name: name}, nil
	}
	b, err := reference.Open(ctx, name)
	if errors.Is(err, reference.ErrNothing) {
		return nil, hint{usagef("--baseline names none of the servers: %w", err), "adamant servers snapshot writes a snapshot; an image is a file, or a reference such as ghcr.io/acme/web:1.2"}
	}
	if err != nil {
		return nil, err
	}
	return &yardstick{name, b.Peer, b}, nil
}
