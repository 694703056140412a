package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/servers"
)

// comparisonFlags are the flags of commands that compare servers.
type comparisonFlags struct {
	serverFlags
	baseline string
}

func (w *comparisonFlags) compareFlags(cmd *cobra.Command) {
	w.reachFlags(cmd)
	cmd.Flags().StringVar(&w.baseline, "baseline", "", "what is right, whatever most have: a server, the file of a snapshot, or an image (a file or a reference)")
}

// compare calls do with the servers that match patterns, and the reference that
// --baseline names.
func (w *comparisonFlags) compare(ctx context.Context, a *app, patterns []string, do func(*servers.Group, *servers.Reference) error) error {
	s, err := w.hosts(ctx, a, patterns)
	if err == nil && len(s.Hosts) == 0 {
		err = s.Err()
	}
	if err != nil {
		return err
	}
	g := &servers.Group{Hosts: s.Hosts, Refused: s.Refused}
	if g.Options, err = w.options(a); err != nil {
		return err
	}
	ref, err := g.OpenReference(ctx, w.baseline)
	if errors.Is(err, servers.ErrNoReference) {
		return hint{usagef("--baseline names none of the servers: %w", err), "adamant servers snapshot writes a snapshot; an image is a file, or a reference such as ghcr.io/acme/web:1.2"}
	}
	if err != nil {
		return err
	}
	defer ref.Close()
	return do(g, ref)
}
