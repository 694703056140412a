package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// An Index is one image for several architectures.
type Index struct {
	index  v1.ImageIndex
	images []v1.Image
}

// NewIndex returns an image with one layer for each architecture, the key of files.
// Equal input gives an equal digest.
func NewIndex(config Config, files map[string][]File) (Index, error) {
	i := Index{index: mutate.IndexMediaType(empty.Index, types.OCIImageIndex)}
	for _, arch := range slices.Sorted(maps.Keys(files)) {
		layer, err := NewLayer(files[arch]...)
		if err != nil {
			return Index{}, err
		}
		config.Architecture = arch
		img, err := New(config, layer)
		if err != nil {
			return Index{}, err
		}
		i.images = append(i.images, img)
		i.index = mutate.AppendManifests(i.index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return i, nil
}

// Digest returns the digest of the index, "sha256:…".
func (i Index) Digest() (string, error) {
	sum, err := i.index.Digest()
	return sum.String(), err
}

// Reference returns the name of the image with its digest.
func (i Index) Reference(as string) (string, error) {
	ref, err := ParseReference(as)
	if err != nil {
		return "", err
	}
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return "", err
	}
	digest, err := i.Digest()
	if err != nil {
		return "", err
	}
	return at.Context().Name() + "@" + digest, nil
}

// Push pushes the index to the registry of its name, with the credentials of this
// user's docker or podman.
func (i Index) Push(ctx context.Context, as string) error {
	ref, err := ParseReference(as)
	if err != nil {
		return err
	}
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(at, i.index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w", as, err)
	}
	return nil
}

// WriteArchive writes the index as an archive of an OCI image layout, as the
// function WriteArchive does. The same index gives the same bytes.
func (i Index) WriteArchive(ctx context.Context, path, as string) error {
	ref, err := ParseReference(as)
	if err != nil {
		return err
	}
	err = durable.Write(path, 0o644, func(w io.Writer) error { return i.writeLayout(ctx, w, ref) })
	if err != nil {
		return fmt.Errorf("write image archive %s: %w", path, err)
	}
	return nil
}

func (i Index) writeLayout(ctx context.Context, w io.Writer, ref Reference) error {
	out := layoutWriter{ctx: ctx, tar: tar.NewWriter(w), written: map[v1.Hash]bool{}}
	for _, img := range i.images {
		if _, err := out.image(img); err != nil {
			return err
		}
	}
	raw, err := i.index.RawManifest()
	if err != nil {
		return err
	}
	if err := out.document(raw); err != nil {
		return err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	top, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{
		named(v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digest, Size: size}, ref),
	}})
	if err != nil {
		return err
	}
	return out.end(top)
}
