package learn

import (
	"context"
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod"
)

// leftovers reads the upper directory of a container's root.
func leftovers(ctx context.Context, p *pod.Pod, c *pod.Container) ([]profile.Leftover, error) {
	m, err := p.Overlay(ctx, c)
	if err != nil {
		return nil, err
	}
	changes, err := overlay.ReadChanges(ctx, m, overlay.Options{Mounts: m.Points, WorkDir: m.WorkDir})
	if err != nil {
		return nil, fmt.Errorf("read the upper directory of container %s: %w", c.Name, err)
	}
	if len(changes.Unknowns) > 0 {
		u := changes.Unknowns[0]
		return nil, errors.Join(fmt.Errorf("read the upper directory of container %s: %s", c.Name, u.Path), u.Err)
	}
	return toLeftovers(changes.Want, changes.Got), nil
}

// toLeftovers converts the two sides of an overlay's changes to leftovers.
func toLeftovers(want, got tree.Tree) []profile.Leftover {
	var out []profile.Leftover
	for e := range got.All() {
		was, had := want.Lookup(e.Path)
		if had && e.Kind != tree.Directory && len(was.Diff(e)) == 0 && was.ModTime.Equal(e.ModTime) {
			continue // copied up, and not changed since
		}
		touched := had && e.Kind == tree.Directory && was.Kind == tree.Directory && !was.ModTime.Equal(e.ModTime)
		out = append(out, profile.Leftover{Entry: e, Touched: touched && isBare(got, want, e.Path)})
	}
	for e := range want.All() {
		if _, still := got.Lookup(e.Path); !still {
			out = append(out, profile.Leftover{Entry: tree.Entry{Path: e.Path}, Deleted: true})
		}
	}
	return out
}

// isBare reports whether no name directly in a directory was added or removed.
// If its modification time is new all the same, files were created and removed
// in it.
func isBare(got, want tree.Tree, dir string) bool {
	for e := range got.Children(dir) {
		if _, had := want.Lookup(e.Path); !had {
			return false
		}
	}
	for e := range want.Children(dir) {
		if _, still := got.Lookup(e.Path); !still {
			return false
		}
	}
	return true
}
