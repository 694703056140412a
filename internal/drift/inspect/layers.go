package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// LayersOptions configures Layers.
type LayersOptions struct {
	// Pace is called with the size of each file before it is read, and with that of each
	// part of a blob, concurrently. It may wait, to leave the disk and the processors to
	// others. It may be nil.
	Pace func(size int64)
}

// Layers compares the directories of unpacked layers with the blobs that they were
// unpacked from, which have the digests of the image. The directories are those of an
// overlay: the uppermost layer first. All changes are critical: the baseline of every
// other comparison was changed. Layers whose blobs cannot be read are unknown.
func Layers(ctx context.Context, img image.Image, lower []string, opts LayersOptions) (drift.Report, error) {
	var r drift.Report
	read := 0
	err := image.EachLayer(ctx, image.Paced(img.Image, opts.Pace), image.Limits{}, func(l image.Layer) error {
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
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
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
	return compareFiles(ctx, want, root, filesOptions{isLayer: true, pace: opts.Pace})
}
