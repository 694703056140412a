package image

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// FlattenOptions configures Flatten. The zero value is right for a root on
// overlayfs.
type FlattenOptions struct {
	Limits Limits
	// Copied is for snapshotters that unpack each layer onto a copy of the one
	// below (native, btrfs, zfs, …). They differ from overlayfs in layers that
	// reach through symbolic links or link to files of the layers below.
	Copied bool
	// NoContent leaves out the digests of files, which makes it cheaper.
	NoContent bool
}

// A Finding is something odd in an image that its runtime accepts.
type Finding struct {
	Layer   int    // from 0, the lowest
	Path    string // as the entry names it
	Problem string
}

func (f Finding) String() string { return fmt.Sprintf("layer %d: %s %s", f.Layer, f.Path, f.Problem) }

// A LayerError is the reason why a layer of an image was refused.
type LayerError struct {
	Layer  int // from 0, the lowest
	Digest string
	Err    error
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("layer %d (%s): %v", e.Layer, e.Digest, e.Err)
}
func (e *LayerError) Unwrap() error { return e.Err }

// Flatten returns the root file system that a container of an image starts
// with: its layers applied in order as containerd does (OCI image
// specification 1.1, layer.md). What a runtime adds at start, such as
// /etc/hosts, is not in it. Implied directories belong to root with mode 0755.
// The root directory itself does so always: runtimes make their own.
//
// All content is read and checked against the digests of the image. Layers are read
// in parallel. Nothing is omitted silently. The error is a *LayerError: it wraps
// ErrHostile for an entry that a runtime would refuse or that only a hostile tool
// writes, ErrDigest for content with a wrong digest, and a *LimitError if a limit is
// exceeded. An unusual entry that a runtime would unpack is a Finding. Names that
// lead out of the root are refused, although containerd would resolve them within it.
func Flatten(ctx context.Context, img v1.Image, opts FlattenOptions) (tree.Tree, []Finding, error) {
	f, err := flatten(ctx, img, opts)
	if err != nil {
		return tree.Tree{}, nil, fmt.Errorf("flatten image: %w", err)
	}
	return f.tree, f.findings, nil
}

// flat is a flattened image.
type flat struct {
	tree     tree.Tree
	inodes   []*inode // of the entries of tree, in the same order
	findings []Finding
}

func flatten(ctx context.Context, img v1.Image, opts FlattenOptions) (*flat, error) {
	sources, err := sourcesOf(img, opts.Limits.withDefaults())
	if err != nil {
		return nil, err
	}
	use := &usage{limits: opts.Limits.withDefaults()} // of the entries once they are applied
	records, err := readAll(ctx, sources, !opts.NoContent)
	if err != nil {
		return nil, err
	}
	f := &flat{}
	layers := []*node{newDir()}
	spent := &work{ctx: ctx, use: use}
	for i := range records {
		a := &applier{index: i, root: layers[0], overlay: !opts.Copied, work: spent, report: func(path, problem string) {
			f.findings = append(f.findings, Finding{Layer: i, Path: path, Problem: problem})
		}}
		if opts.Copied {
			a.seen = map[string]bool{}
		} else {
			a.root, a.below = newDir(), layers
		}
		if err := a.applyAll(records[i]); err != nil {
			return nil, layerError(sources[i].layer, i, err)
		}
		if !opts.Copied {
			layers = slices.Insert(layers, 0, a.root)
		}
		records[i] = nil
	}
	return f, f.collect(ctx, layers, !opts.Copied)
}

// collect sets the merged entries of the layers.
func (f *flat) collect(ctx context.Context, layers []*node, overlay bool) error {
	m := merger{overlay: overlay}
	err := m.merge(ctx, "/", layers)
	if err != nil {
		return err
	}
	m.nameLinks()
	f.tree, err = tree.New(m.entries)
	f.inodes = m.inodes
	return err
}

// sourcesOf lists the layers of an image with the digests of their archives.
func sourcesOf(img v1.Image, limits Limits) ([]source, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if len(layers) > limits.Layers {
		return nil, &LimitError{Limit: "layers", Value: int64(limits.Layers)}
	}
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(layers) {
		return nil, fmt.Errorf("the manifest has %d layers, the configuration %d: %w", len(layers), len(diffIDs), ErrDigest)
	}
	// All layers share one usage: the limits apply to the whole image.
	use := &usage{limits: limits}
	sources := make([]source, len(layers))
	for i := range layers {
		sources[i] = source{layer: layers[i], diffID: diffIDs[i], use: use}
	}
	return sources, nil
}

// readAll reads all layers, as many concurrently as there are processors.
func readAll(ctx context.Context, sources []source, hash bool) ([][]record, error) {
	records := make([][]record, len(sources))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range sources {
		group.Go(func() error {
			var err error
			if records[i], err = s.records(ctx, hash); err != nil {
				return layerError(s.layer, i, err)
			}
			return nil
		})
	}
	return records, group.Wait()
}

func layerError(layer v1.Layer, index int, err error) error {
	digest, digestErr := layer.Digest()
	if digestErr != nil {
		return &LayerError{Layer: index, Digest: "unknown digest", Err: err}
	}
	return &LayerError{Layer: index, Digest: digest.String(), Err: err}
}
