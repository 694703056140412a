package containerd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// An applier unpacks layers with containerd's own code, but in this process:
// what it reads comes from the archive and not through the daemon's socket,
// and is decompressed in half the time. It mounts nothing, so that nothing
// stays mounted if it is killed. It is for a daemon that sees the same files
// as we do.
type applier struct {
	image *image.Stored
}

var _ diff.Applier = applier{}

// Apply unpacks a layer into a snapshot that is prepared and returns the
// descriptor of the archive in it, whose digest the caller has to check.
func (a applier) Apply(ctx context.Context, desc ocispec.Descriptor, mounts []mount.Mount, _ ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	target, opts, err := directory(mounts)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	b, err := a.open(desc)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer b.Close()
	plain, _, err := image.Decompress(b.Reader())
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer plain.Close()
	digester := digest.Canonical.Digester()
	count := &counter{w: digester.Hash()}
	r := io.TeeReader(plain, count)
	if _, err := archive.Apply(ctx, target, r, opts...); err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // what follows the archive's end counts, too
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digester.Digest(), Size: count.n}, nil
}

func (a applier) open(desc ocispec.Descriptor) (image.Blob, error) {
	for _, layer := range a.image.Manifest.Layers {
		if layer.Digest.String() == desc.Digest.String() {
			return a.image.OpenLayer(layer)
		}
	}
	return image.Blob{}, fmt.Errorf("the image has no layer %s", desc.Digest)
}

// directory returns where a snapshot's files are written: the upper directory
// of an overlay, with whiteouts as the kernel knows them, or the source of a
// bind mount.
func directory(mounts []mount.Mount) (string, []archive.ApplyOpt, error) {
	if len(mounts) != 1 {
		return "", nil, fmt.Errorf("snapshot has %d mounts, want 1", len(mounts))
	}
	m := mounts[0]
	switch m.Type {
	case "bind":
		return m.Source, nil, nil
	case "overlay":
		opts := []archive.ApplyOpt{archive.WithConvertWhiteout(archive.OverlayConvertWhiteout)}
		var upper string
		for _, o := range m.Options {
			if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
				upper = dir
			}
			if dirs, ok := strings.CutPrefix(o, "lowerdir="); ok {
				opts = append(opts, archive.WithParents(strings.Split(dirs, ":")))
			}
		}
		if upper != "" {
			return upper, opts, nil
		}
	}
	return "", nil, fmt.Errorf("snapshot is a mount of type %q, which cannot be written to", m.Type)
}
