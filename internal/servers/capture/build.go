package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// BuildOptions configures Build. Image and Out must be set.
type BuildOptions struct {
	Image string // its name: "adamant.local/web1:2026-01-02"
	Out   string // the archive; its directory also holds the layers during the build
	// MaxBytes bounds the size of all files together; 256 GiB if zero.
	MaxBytes int64
	// MaxEntries bounds the number of entries of all layers; 5,000,000 if zero.
	MaxEntries int
}

// ErrHostile is returned for a plan or a stream that this package does not write.
var ErrHostile = errors.New("refused")

// Build makes an image from a plan and its layers, and writes it as an OCI archive
// that Adamant, docker, podman and containerd load. It calls open for one layer
// after the other, the packages first, to get the output of WriteLayer.
//
// A stream must have exactly the entries of the plan in the same order. It is never
// unpacked, but written anew. The archive is complete or does not exist. Equal plans
// and layers have equal digests.
func Build(ctx context.Context, p Plan, o BuildOptions, open func(layer string) (io.ReadCloser, error)) (digest string, err error) {
	o.MaxBytes, o.MaxEntries = cmp.Or(o.MaxBytes, 256<<30), cmp.Or(o.MaxEntries, 5_000_000)
	if err := p.check(o); err != nil {
		return "", fmt.Errorf("build image %s: %w", o.Image, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(o.Out), ".capture-")
	if err != nil {
		return "", fmt.Errorf("build image %s: %w", o.Image, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var files []string
	for _, name := range []string{PackagesLayer, ConfigLayer} {
		file := filepath.Join(dir, name)
		if err := receive(ctx, p, name, file, open); err != nil {
			return "", fmt.Errorf("build image %s: layer %s: %w", o.Image, name, err)
		}
		files = append(files, file)
	}
	config := image.Config{Architecture: p.Architecture, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if len(p.Services) == 1 {
		config.Cmd = p.Services[0].Command
	}
	return image.BuildArchive(ctx, o.Out, o.Image, config, files...)
}

// check returns an error for a plan that no survey makes, or whose layers do not
// fit on top of each other.
func (p *Plan) check(o BuildOptions) error {
	if p.Version != PlanVersion {
		return fmt.Errorf("the plan has version %d, want %d: %w", p.Version, PlanVersion, ErrHostile)
	}
	byPath := map[string]tree.Entry{}
	var bytes int64
	for _, list := range []Listing{p.Packages.Files, p.Packages.Made, p.Config.Files, p.Config.Made} {
		if len(byPath)+list.Len() > o.MaxEntries {
			return fmt.Errorf("more than %d entries: %w", o.MaxEntries, rootfs.ErrTooMany)
		}
		for e := range list.All() {
			if _, twice := byPath[e.Path]; twice {
				return fmt.Errorf("%q occurs twice: %w", e.Path, ErrHostile)
			}
			if err := checkEntry(e, list.Tree); err != nil {
				return fmt.Errorf("%q: %w", e.Path, err)
			}
			byPath[e.Path] = e
			if bytes += e.Size; e.Size > o.MaxBytes || bytes > o.MaxBytes {
				return fmt.Errorf("all files together: %w of %d bytes", tree.ErrTooLarge, o.MaxBytes)
			}
		}
	}
	// Each list is a tree by itself. Together they could still have a file where
	// another layer has a directory.
	all := make([]tree.Entry, 0, len(byPath))
	for _, e := range byPath {
		all = append(all, e)
	}
	if _, err := tree.New(all); err != nil {
		return fmt.Errorf("%w: %w", ErrHostile, err)
	}
	return nil
}

// checkEntry returns an error for an entry that newLayer would not put into a
// layer.
func checkEntry(e tree.Entry, layer tree.Tree) error {
	for part := range strings.SplitSeq(e.Path, "/") {
		if strings.HasPrefix(part, whiteout) {
			return fmt.Errorf("a layer takes the name for a deletion: %w", ErrHostile)
		}
	}
	for name := range e.Xattrs {
		if name != tree.CapabilityXattr {
			return fmt.Errorf("extended attribute %q: %w", name, ErrHostile)
		}
	}
	switch {
	case !slices.Contains([]tree.Kind{tree.Regular, tree.Directory, tree.Symlink, tree.FIFO}, e.Kind):
		return fmt.Errorf("a %s: %w", e.Kind, ErrHostile)
	case e.Kind == tree.Regular && e.Digest == "":
		return fmt.Errorf("a file without a digest: %w", ErrHostile)
	case e.Link != "" && e.Kind == tree.Regular:
		first, ok := layer.Lookup(e.Link)
		if !ok || first.Link != e.Link || len(first.Diff(e)) > 0 {
			return fmt.Errorf("a hard link to %q, which is another file: %w", e.Link, ErrHostile)
		}
	}
	return nil
}
