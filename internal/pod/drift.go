package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// Drift returns what a container of the pod changed in its root file system:
// from the upper directory of its overlay or, where its snapshotter makes none,
// by comparing everything with the image.
func (p *Pod) Drift(ctx context.Context, c *Container) (drift.Report, error) {
	m, err := p.Overlay(ctx, c)
	if err == nil {
		return overlay.Drift(ctx, m)
	}
	if !errors.Is(err, overlay.ErrNoOverlay) || c.PID == 0 {
		return drift.Report{}, err
	}
	img, err := p.e.daemon.OpenImage(ctx, c.ImageID)
	if err != nil {
		return drift.Report{}, fmt.Errorf("image of container %s: %w", c.Name, err)
	}
	root, err := p.OpenRoot(ctx, c.Name)
	if err != nil {
		return drift.Report{}, err
	}
	defer root.Close()
	if err := p.verifyRoot(ctx, c, root); err != nil {
		return drift.Report{}, err
	}
	return CompareWithImage(ctx, root, img, image.FlattenOptions{Copied: true})
}

// CompareWithImage compares every file of a root with an image. What is
// mounted in the root is no part of it.
func CompareWithImage(ctx context.Context, root *rootfs.Root, img v1.Image, opts image.FlattenOptions) (drift.Report, error) {
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
	if want, err = prune(want, mounted); err != nil {
		return drift.Report{}, err
	}
	if got, err = prune(got, mounted); err != nil {
		return drift.Report{}, err
	}
	ours := func(side drift.Side, path string) (io.ReadCloser, error) {
		if side == drift.Want {
			return nil, fs.ErrNotExist
		}
		return root.Open(path)
	}
	// What the image has of the files that differ is read in one pass.
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

// Of the image's side of what differs, files up to maxContent bytes are read,
// and not more than maxContents bytes of all.
const (
	maxContent  = 1 << 20
	maxContents = 64 << 20
)

// readable are the files of the image that a report is worth reading for.
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

// prune leaves out paths with all below them.
func prune(t tree.Tree, paths []string) (tree.Tree, error) {
	left := map[string]bool{}
	for _, path := range paths {
		for e := range t.Under(path) {
			left[e.Path] = true
		}
	}
	var kept []tree.Entry
	for e := range t.All() {
		if !left[e.Path] {
			kept = append(kept, e)
		}
	}
	return tree.New(kept)
}
