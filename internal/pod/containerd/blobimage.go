package containerd

import (
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A blobImage is the least of an image from which go-containerregistry makes
// the rest: it is partial.CompressedImageCore.
type blobImage struct {
	descriptor             ocispec.Descriptor // of the manifest
	manifest               ocispec.Manifest
	rawManifest, rawConfig []byte
	layers                 map[digest.Digest]func() (blob, error)
}

func (i *blobImage) image() (v1.Image, error) { return partial.CompressedToImage(i) }

func (i *blobImage) RawManifest() ([]byte, error)   { return i.rawManifest, nil }
func (i *blobImage) RawConfigFile() ([]byte, error) { return i.rawConfig, nil }

func (i *blobImage) MediaType() (types.MediaType, error) {
	return types.MediaType(i.descriptor.MediaType), nil
}

func (i *blobImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, desc := range append([]ocispec.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
		if desc.Digest.String() == h.String() {
			return blobLayer{desc, i.layers[desc.Digest]}, nil
		}
	}
	return nil, fmt.Errorf("no layer %s", h)
}

// A blobLayer is partial.CompressedLayer.
type blobLayer struct {
	desc ocispec.Descriptor
	open func() (blob, error)
}

func (l blobLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.desc.Digest.String()) }
func (l blobLayer) Size() (int64, error)     { return l.desc.Size, nil }

func (l blobLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.desc.MediaType), nil
}

func (l blobLayer) Compressed() (io.ReadCloser, error) {
	if l.open == nil {
		return nil, fmt.Errorf("blob %s is not a layer", l.desc.Digest)
	}
	b, err := l.open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{b.reader(), closer(b.close)}, nil
}

type closer func() error

func (c closer) Close() error { return c() }
