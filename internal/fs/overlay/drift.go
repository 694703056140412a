package overlay

import (
	"context"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Drift returns what a container changed in its root file system, graded and
// with text diffs. What the runtime made to mount on is left out. The error
// says that there is no result at all; what could not be compared is unknown.
func Drift(ctx context.Context, m Mount) (drift.Report, error) {
	opts := Options{Mounts: m.Points}
	if opts.Mounts == nil {
		opts.Mounts = []string{}
	}
	c, err := Open(ctx, m, opts)
	if err != nil {
		return drift.Report{}, fmt.Errorf("read changes: %w", err)
	}
	defer c.Close()
	r := c.Report(ctx)
	return r, ctx.Err()
}

// Report compares both sides, content included where only that can tell.
func (c *Changes) Report(ctx context.Context) drift.Report {
	r := drift.Compare(c.Want, c.Got, drift.Options{
		Equal:    func(path string) (bool, error) { return c.Equal(ctx, path) },
		Content:  c.Content,
		Unknowns: c.Unknowns,
	})
	for i := range r.Changes {
		if ch := &r.Changes[i]; ch.Kind == drift.Added {
			ch.From = c.Moved[ch.Path]
		}
	}
	for _, path := range c.Unsettled {
		r.Unknowns = append(r.Unknowns, drift.Unknown{Path: path, Reason: tree.ErrChanged.Error()})
	}
	slices.SortStableFunc(r.Unknowns, func(a, b drift.Unknown) int { return tree.ComparePaths(a.Path, b.Path) })
	return r
}
