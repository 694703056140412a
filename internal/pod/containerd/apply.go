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

// An applier unpacks layers with containerd's own code, but in this process. It
// reads the archive and not the content store, which is behind the daemon's
// socket, and decompresses in half the time. It mounts nothing, so that no mount
// is left if it is killed. The daemon must be in the same mount namespace.
type applier struct {
	image *image.Stored
}

var _ diff.Applier = applier{}

// Apply unpacks a layer into a prepared snapshot. It returns the descriptor of
// the uncompressed layer, whose digest the caller has to check.
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
	plain, err := image.DecompressLayer(ctx, b)
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
	// The digest includes the padding after the end of the archive, which Apply
	// does not read.
	if _, err := io.Copy(io.Discard, r); err != nil {
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

// directory returns the directory of a snapshot's files: the upper directory of
// an overlay or the source of a bind mount. In an upper directory the options
// convert whiteouts from the archive's format to that of overlayfs.
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
