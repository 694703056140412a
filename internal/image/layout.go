package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// errNoLayout says that a store is no OCI image layout.
var errNoLayout = errors.New("neither an OCI image layout nor written by docker save")

// maxDocument bounds an index, a manifest or a configuration in bytes, as
// registries do.
const maxDocument = 4 << 20

// Annotations of an index that name an image: containerd's in full, and that
// of the OCI specification, which may be a tag only.
const (
	nameAnnotation    = "io.containerd.image.name"
	refNameAnnotation = "org.opencontainers.image.ref.name"
)

// readLayout reads an OCI image layout (image specification 1.1,
// image-layout.md) and returns its images for a platform.
func readLayout(s store, platform v1.Platform) ([]Image, error) {
	if _, err := readDocument(s, "oci-layout"); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	} else if err != nil {
		return nil, err
	}
	raw, err := readDocument(s, "index.json")
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	l := layout{store: s, platform: platform}
	var images []Image
	for _, desc := range index.Manifests {
		img, err := l.image(desc, 0)
		if errors.Is(err, errOther) {
			continue
		}
		if err != nil {
			return nil, err
		}
		images = addImage(images, Image{Image: img, Names: namesOf(desc)})
	}
	if len(images) == 0 && len(l.others) > 0 {
		return nil, fmt.Errorf("%w for %s, only for %s", ErrNoImage, platform, strings.Join(l.others, ", "))
	}
	return images, nil
}

// addImage adds an image, or its names to those of an equal one.
func addImage(images []Image, img Image) []Image {
	digest, err := img.Digest()
	for i := range images {
		if have, haveErr := images[i].Digest(); err == nil && haveErr == nil && have == digest {
			for _, name := range img.Names {
				if !slices.Contains(images[i].Names, name) {
					images[i].Names = append(images[i].Names, name)
				}
			}
			return images
		}
	}
	return append(images, img)
}

// namesOf returns the name that an index gives an image. One that is only a tag
// says nothing of the repository and is no name.
func namesOf(desc v1.Descriptor) []string {
	name := desc.Annotations[nameAnnotation]
	if name == "" {
		name = desc.Annotations[refNameAnnotation]
		if !strings.ContainsAny(name, ":/@") {
			return nil
		}
	}
	ref, err := ParseReference(name)
	if err != nil {
		return nil
	}
	return []string{ref.Name()}
}

// errOther says that a descriptor is not for the platform or not of an image.
var errOther = errors.New("for another platform")

type layout struct {
	store    store
	platform v1.Platform
	others   []string // platforms that were passed over
}

// image returns the image of a descriptor, from the first index inside that has
// one for the platform.
func (l *layout) image(desc v1.Descriptor, depth int) (v1.Image, error) {
	if desc.Platform != nil && !desc.Platform.Satisfies(l.platform) {
		l.others = append(l.others, desc.Platform.String())
		return nil, errOther
	}
	switch {
	case desc.MediaType.IsImage():
		return l.open(desc)
	case !desc.MediaType.IsIndex():
		return nil, errOther
	case depth > 4:
		return nil, &LimitError{Limit: "indexes inside indexes", Value: 4}
	}
	raw, err := readBlob(l.store, desc)
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	for _, inner := range index.Manifests {
		if img, err := l.image(inner, depth+1); !errors.Is(err, errOther) {
			return img, err
		}
	}
	return nil, errOther
}

func (l *layout) open(desc v1.Descriptor) (v1.Image, error) {
	raw, err := readBlob(l.store, desc)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	config, err := readBlob(l.store, manifest.Config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return newStored(storedImage{
		mediaType: desc.MediaType, manifest: raw, config: config,
		open: func(layer v1.Descriptor) (io.ReadCloser, error) { return openBlob(l.store, layer) },
	})
}

// storedImage is an image whose documents have been read and whose layers come
// from a store.
type storedImage struct {
	mediaType types.MediaType
	manifest  []byte
	config    []byte
	open      func(layer v1.Descriptor) (io.ReadCloser, error)

	layers map[v1.Hash]storedLayer
}

// newStored checks that manifest and configuration belong together.
func newStored(img storedImage) (v1.Image, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(img.manifest))
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(img.config, &config); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", manifest.Config.Digest, err)
	}
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(manifest.Layers) {
		return nil, fmt.Errorf("the manifest has %d layers, configuration %s has %d: %w", len(manifest.Layers), manifest.Config.Digest, len(diffIDs), ErrDigest)
	}
	img.layers = map[v1.Hash]storedLayer{}
	for i, desc := range manifest.Layers {
		img.layers[desc.Digest] = storedLayer{desc: desc, diffID: diffIDs[i], open: img.open}
	}
	return partial.CompressedToImage(img)
}

func (i storedImage) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i storedImage) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i storedImage) RawConfigFile() ([]byte, error)      { return i.config, nil }

func (i storedImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if layer, ok := i.layers[digest]; ok {
		return layer, nil
	}
	return nil, fmt.Errorf("layer %s: %w", digest, fs.ErrNotExist)
}

type storedLayer struct {
	desc   v1.Descriptor
	diffID v1.Hash
	open   func(v1.Descriptor) (io.ReadCloser, error)
}

func (l storedLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l storedLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l storedLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l storedLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l storedLayer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }
func (l storedLayer) Compressed() (io.ReadCloser, error)  { return l.open(l.desc) }

// openBlob opens a blob that is checked while it is read.
func openBlob(s store, desc v1.Descriptor) (io.ReadCloser, error) {
	if desc.Digest.Algorithm != "sha256" {
		return nil, fmt.Errorf("blob %s: digest algorithm is not supported", desc.Digest)
	}
	blob, size, err := s.open("blobs/sha256/" + desc.Digest.Hex)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if size != desc.Size {
		blob.Close()
		return nil, fmt.Errorf("blob %s: %d bytes, not %d: %w", desc.Digest, size, desc.Size, ErrDigest)
	}
	checked, err := verify(blob, "blob", desc.Digest, desc.Size)
	if err != nil {
		blob.Close()
		return nil, err
	}
	return readCloser{checked, blob}, nil
}

func readBlob(s store, desc v1.Descriptor) ([]byte, error) {
	if desc.Size > maxDocument {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, &LimitError{Limit: "bytes of a document", Value: maxDocument})
	}
	blob, err := openBlob(s, desc)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return io.ReadAll(blob)
}

// readDocument reads a file that no digest stands for.
func readDocument(s store, name string) ([]byte, error) {
	f, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%s: %w", name, &LimitError{Limit: "bytes of a document", Value: maxDocument})
	}
	return io.ReadAll(io.LimitReader(f, maxDocument))
}
