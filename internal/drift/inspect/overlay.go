// Package inspect compares containers and roots on this machine with their images. It
// reads files; package drift, which is pure, decides what a difference means.
package inspect

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Overlay returns the changes of a container to its root file system, which is an
// overlay, with severities and text diffs. Mount points that the runtime created are
// omitted. Paths that could not be compared are unknown; an error means that there is
// no result at all.
func Overlay(ctx context.Context, m overlay.Mount) (drift.Report, error) {
	opts := overlay.Options{Mounts: m.Points}
	if opts.Mounts == nil {
		opts.Mounts = []string{} // nil means that the overlay is not a container's root
	}
	c, err := overlay.Open(ctx, m, opts)
	if err != nil {
		return drift.Report{}, fmt.Errorf("read changes: %w", err)
	}
	defer c.Close()
	r := Changes(ctx, c)
	return r, ctx.Err()
}

// Changes compares both sides of an overlay whose changes were read, content
// included where only that can tell.
func Changes(ctx context.Context, c *overlay.Changes) drift.Report {
	r := drift.Compare(c.Want, c.Got, drift.Options{
		Equal: func(path string) (bool, error) { return c.Equal(ctx, path) },
		Content: func(side drift.Side, path string) (io.ReadCloser, error) {
			if side == drift.Want {
				return c.OpenWant(path)
			}
			return c.OpenGot(path)
		},
		Unknowns: c.Unknowns,
	})
	for i := range r.Changes {
		if ch := &r.Changes[i]; ch.Kind == drift.Added {
			ch.From = c.Moved[ch.Path]
		}
	}
	for _, path := range c.Unsettled {
		r.Unknowns = append(r.Unknowns, tree.Unknown{Path: path, Err: tree.ErrChanged})
	}
	slices.SortStableFunc(r.Unknowns, func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) })
	return r
}
