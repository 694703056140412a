package facts

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
)

// claim finds the packages of files that differ, on each server that has them.
func claim(ctx context.Context, peers []*Peer, files []Difference) error {
	wanted := map[*Peer][]int{}
	for i, d := range files {
		for _, p := range peers {
			if _, has := d.Values[p.Name]; has {
				wanted[p] = append(wanted[p], i)
			}
		}
	}
	answers := make([][]Owner, len(peers))
	var g errgroup.Group
	for n, p := range peers {
		g.Go(func() (err error) {
			answers[n], err = askOwners(ctx, p, files, wanted[p])
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

// filesPerRequest keeps messages small beside the bound.
const filesPerRequest = 4096

func askOwners(ctx context.Context, p *Peer, files []Difference, which []int) ([]Owner, error) {
	var all []Owner
	for part := range slices.Chunk(which, filesPerRequest) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var paths []string
		for _, i := range part {
			paths = append(paths, files[i].Key)
		}
		owners, err := p.owners(paths)
		if err != nil {
			return nil, err
		}
		all = append(all, owners...)
	}
	return all, nil
}
