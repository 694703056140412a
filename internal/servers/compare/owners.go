package compare

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// addOwners finds the packages of files that differ, on each server that has them.
func addOwners(ctx context.Context, peers []*facts.Peer, files []Difference) error {
	wanted := map[*facts.Peer][]int{}
	for i, d := range files {
		for _, p := range peers {
			if _, has := d.Values[p.Name]; has {
				wanted[p] = append(wanted[p], i)
			}
		}
	}
	answers := make([][]facts.Owner, len(peers))
	var g errgroup.Group
	for n, p := range peers {
		g.Go(func() (err error) {
			var paths []string
			for _, i := range wanted[p] {
				paths = append(paths, files[i].Key)
			}
			answers[n], err = p.Owners(ctx, paths)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for n, p := range peers {
		for k, i := range wanted[p] {
			d, o := &files[i], answers[n][k]
			if d.Package == "" {
				d.Package = o.Package
			}
			d.Edited = d.Edited || o.Edited
		}
	}
	return nil
}
