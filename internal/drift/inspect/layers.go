package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// LayersOptions configures Layers.
type LayersOptions struct {
	// Pace is called with the size of each file before it is read, concurrently. It may
	// wait, to leave the disk and the processors to others. It may be nil.
	Pace func(size int64)
}

// Layers compares the directories of unpacked layers with the blobs that they were
// unpacked from, which have the digests of the image. The directories are those of an
// overlay: the uppermost layer first. All changes are critical: the baseline of every
// other comparison was changed. Layers whose blobs cannot be read are unknown.
func Layers(ctx context.Context, img image.Image, lower []string, opts LayersOptions) (drift.Report, error) {
	var r drift.Report
	read := 0
	err := image.EachLayer(ctx, img.Image, image.Limits{}, func(l image.Layer) error {
		if l.Index >= len(lower) {
			return fmt.Errorf("the image has more than %d layers, which the overlay has", len(lower))
		}
		read++
		of := fmt.Sprintf("layer %d of the image (%s)", l.Index+1, l.Digest)
		found, err := layer(ctx, l.Tree, lower[len(lower)-1-l.Index], opts)
		if err != nil {
			r.Unknowns = append(r.Unknowns, tree.Unknown{Path: "/", Err: fmt.Errorf("%s: %w", of, err)})
			return ctx.Err()
		}
		for _, ch := range found.Changes {
			ch.Severity, ch.Reason = drift.Critical, "the baseline itself was changed: "+of
			r.Changes = append(r.Changes, ch)
		}
		for _, u := range found.Unknowns {
			r.Unknowns = append(r.Unknowns, tree.Unknown{Path: u.Path, Err: fmt.Errorf("%s: %w", of, u.Err)})
		}
		r.OmittedUnknowns += found.OmittedUnknowns
		for _, n := range found.Omitted {
			if r.Omitted == nil {
				r.Omitted = map[drift.Severity]int{}
			}
			r.Omitted[drift.Critical] += n
		}
		return nil
	})
	if err == nil && read != len(lower) {
		err = fmt.Errorf("the overlay has %d layers, the image has %d", len(lower), read)
	}
	if ctx.Err() != nil {
		return drift.Report{}, ctx.Err()
	}
	if err != nil {
		r.Unknowns = append(r.Unknowns, tree.Unknown{Path: "/", Err: fmt.Errorf("layers cannot be compared with the image: %w", err)})
	}
	slices.SortStableFunc(r.Changes, func(a, b drift.Change) int { return tree.ComparePaths(a.Path, b.Path) })
	return r, nil
}

// layer compares the directory of one layer.
func layer(ctx context.Context, want tree.Tree, dir string, opts LayersOptions) (drift.Report, error) {
	root, err := rootfs.Open(dir)
	if err != nil {
		return drift.Report{}, err
	}
	defer root.Close()
	walk := rootfs.WalkOptions{Hash: true, OneFileSystem: true, OverlayXattrs: true}
	if opts.Pace != nil {
		walk.Skip = func(e tree.Entry) bool {
			if e.Kind == tree.Regular {
				opts.Pace(e.Size)
			}
			return false
		}
	}
	got, unknowns, err := root.Walk(ctx, walk)
	if err != nil {
		return drift.Report{}, err
	}
	// The root directory is the runtime's own.
	if want, err = withoutRoot(want); err != nil {
		return drift.Report{}, err
	}
	if got, err = withoutRoot(got); err != nil {
		return drift.Report{}, err
	}
	return drift.Compare(want, got, drift.Options{
		Unknowns: unknowns, DiffLimit: -1,
		Content: func(side drift.Side, path string) (io.ReadCloser, error) {
			if side == drift.Want {
				return nil, errors.ErrUnsupported // blobs can only be read from the start
			}
			return root.Open(path)
		},
	}), nil
}

func withoutRoot(t tree.Tree) (tree.Tree, error) {
	var entries []tree.Entry
	for e := range t.All() {
		if e.Path != "/" {
			entries = append(entries, e)
		}
	}
	return tree.New(entries)
}
