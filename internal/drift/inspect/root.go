package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// Root compares every file of a root with an image. It omits mounts in the root. If a
// deadline of the context is reached, what was seen before it is reported.
func Root(ctx context.Context, root *rootfs.Root, img image.Image, opts image.FlattenOptions) (drift.Report, error) {
	want, _, err := image.Flatten(ctx, img, opts)
	if err != nil {
		return drift.Report{}, err
	}
	r, err := compareFiles(ctx, want, root, filesOptions{})
	if err != nil || len(r.Changes) == 0 {
		return r, err
	}
	// The files of the image are read in one pass, when it is known which are needed for
	// diffs: a layer can only be read from its beginning.
	var contents map[string][]byte
	if paths := readable(r); len(paths) > 0 {
		contents, err = image.ReadFiles(ctx, img, paths...)
		if errors.Is(err, context.DeadlineExceeded) {
			return r, nil
		}
		if err != nil {
			return drift.Report{}, err
		}
	}
	return withContents(ctx, root, r, contents)
}

// withContents returns a report with the text diffs, classes and digests that follow from
// the contents of both sides.
func withContents(ctx context.Context, root *rootfs.Root, r drift.Report, image map[string][]byte) (drift.Report, error) {
	c := drift.NewComparison(0)
	left := int64(maxDigests)
	for _, ch := range r.Changes {
		if isRegular(ch.Got) && ch.Got.Digest == "" && ch.Got.Size > 0 && ch.Got.Size <= left {
			left -= ch.Got.Size
			now, err := root.Describe(ctx, ch.Path, rootfs.DescribeOptions{Size: ch.Got.Size})
			if err == nil && now.Size == ch.Got.Size {
				ch.Got.Digest = now.Digest
			}
		}
		c.Add(drift.Pair{
			Want: ch.Want, Got: ch.Got, Size: len(ch.Path), Content: contentIn(root, ch.Path, image),
			Equal: func() (bool, error) { return true, nil }, // it was compared before, and its other fields differ
		})
	}
	out := c.Report()
	r.Changes = nil
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return drift.Report{}, err
	}
	return r.Merge(out), nil
}

// Of the image's files that differ, those that package drift compares line by line are read
// for diffs, and at most maxContents bytes in total. Of the root's files that differ, at
// most maxDigests bytes are read for digests.
const (
	maxContent  = 256 << 10
	maxContents = 8 << 20
	maxDigests  = 256 << 20
)

// readable returns the files of the image that are read for a report, the most severe
// changes first.
func readable(r drift.Report) []string {
	var paths []string
	left := int64(maxContents)
	for _, severity := range drift.Severities() {
		for _, ch := range r.Changes {
			if ch.Severity != severity || ch.Want == nil || ch.Want.Kind != tree.Regular || ch.Want.Size > min(left, maxContent) {
				continue
			}
			left -= ch.Want.Size
			paths = append(paths, ch.Path)
		}
	}
	return paths
}

// inMemory opens a file of the image that was read.
func inMemory(image map[string][]byte, path string) (io.ReadCloser, error) {
	data, ok := image[path]
	if !ok {
		return nil, errNoContent
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
