package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// Root compares every file of a root with an image. It omits mounts in the root.
func Root(ctx context.Context, root *rootfs.Root, img image.Image, opts image.FlattenOptions) (drift.Report, error) {
	want, _, err := image.Flatten(ctx, img, opts)
	if err != nil {
		return drift.Report{}, err
	}
	got, unknowns, err := root.Walk(ctx, rootfs.WalkOptions{Hash: true, OneFileSystem: true})
	if err != nil {
		return drift.Report{}, err
	}
	var mounted []string
	var unread []tree.Unknown
	for _, u := range unknowns {
		if errors.Is(u.Err, tree.ErrMounted) {
			mounted = append(mounted, u.Path)
		} else {
			unread = append(unread, u)
		}
	}
	// A mount hides the files of the image below it, which must not look deleted.
	if want, err = prune(want, mounted); err != nil {
		return drift.Report{}, err
	}
	if got, err = prune(got, mounted); err != nil {
		return drift.Report{}, err
	}
	// The first comparison runs without content of the image and lists the files whose
	// content is needed for diffs. They are then read in one pass: a layer can only be
	// read from its beginning.
	ours := func(side drift.Side, path string) (io.ReadCloser, error) {
		if side == drift.Want {
			return nil, fs.ErrNotExist
		}
		return root.Open(path)
	}
	first := drift.Compare(want, got, drift.Options{Unknowns: unread, Content: ours})
	paths := readable(first)
	if len(paths) == 0 {
		return first, nil
	}
	contents, err := image.ReadFiles(ctx, img, paths...)
	if err != nil {
		return drift.Report{}, err
	}
	return drift.Compare(want, got, drift.Options{
		Unknowns: unread,
		Content: func(side drift.Side, path string) (io.ReadCloser, error) {
			if data, ok := contents[path]; ok && side == drift.Want {
				return io.NopCloser(bytes.NewReader(data)), nil
			}
			return ours(side, path)
		},
	}), nil
}

// Of the image's files that differ, those of up to maxContent bytes are read for diffs,
// and at most maxContents bytes in total.
const (
	maxContent  = 1 << 20
	maxContents = 64 << 20
)

// readable returns the files of the image that are read for a report.
func readable(r drift.Report) []string {
	var paths []string
	left := int64(maxContents)
	for _, ch := range r.Changes {
		if ch.Want == nil || ch.Want.Kind != tree.Regular || ch.Want.Size > min(left, maxContent) {
			continue
		}
		left -= ch.Want.Size
		paths = append(paths, ch.Path)
	}
	return paths
}

// prune returns a tree without some paths and everything below them.
func prune(t tree.Tree, paths []string) (tree.Tree, error) {
	pruned := map[string]bool{}
	for _, path := range paths {
		for e := range t.Under(path) {
			pruned[e.Path] = true
		}
	}
	var rest []tree.Entry
	for e := range t.All() {
		if !pruned[e.Path] {
			rest = append(rest, e)
		}
	}
	return tree.New(rest)
}
