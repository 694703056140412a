package image

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Stored describes the blobs of an image in a layout or an archive, for callers that copy
// it to another store.
type Stored struct {
	Target    v1.Descriptor // target of the image's names: the manifest, or the outermost index with it
	Documents []Document    // configuration, manifest and indexes, each after those that it refers to
	Manifest  v1.Manifest
	DiffIDs   []v1.Hash // of the layers, decompressed

	open func(layer v1.Descriptor) (Blob, error)
}

// A Document is a small blob that was read and has the digest it should have.
type Document struct {
	v1.Descriptor
	Raw  []byte
	Refs []v1.Hash // blobs of the image that it refers to
}

// Index returns the digest of the index that lists the image and those of other platforms,
// or "". Builders also list an image alone, with attestations, which are for no platform.
func (s *Stored) Index() string {
	for _, d := range s.Documents {
		if d.Digest != s.Target.Digest || !d.MediaType.IsIndex() {
			continue
		}
		var index v1.IndexManifest
		if json.Unmarshal(d.Raw, &index) != nil {
			continue
		}
		n := 0
		for _, m := range index.Manifests {
			if m.Platform != nil && m.Platform.OS != "unknown" && m.Platform.OS != "" {
				n++
			}
		}
		if n > 1 {
			return d.Digest.String()
		}
	}
	return ""
}

// OpenLayer opens one of the manifest's layers as it is stored. Its size is right,
// its digest has not been checked.
func (s *Stored) OpenLayer(layer v1.Descriptor) (Blob, error) { return s.open(layer) }

func (s *Stored) openVerified(layer v1.Descriptor) (io.ReadCloser, error) {
	blob, err := s.open(layer)
	if err != nil {
		return nil, err
	}
	return verifyBlob(blob, layer)
}

// FromDocuments returns the image of a manifest and its configuration, of which
// open opens the layers. It checks that the two belong together.
func FromDocuments(mediaType types.MediaType, manifest, config []byte, open func(layer v1.Descriptor) (io.ReadCloser, error)) (v1.Image, error) {
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", m.Config.Digest, err)
	}
	diffIDs := file.RootFS.DiffIDs
	// A layer without a diff id would never be verified.
	if len(diffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("the manifest has %d layers, configuration %s has %d: %w", len(m.Layers), m.Config.Digest, len(diffIDs), ErrDigest)
	}
	img := documentsImage{mediaType: mediaType, manifest: manifest, config: config, layers: map[v1.Hash]documentsLayer{}}
	for i, desc := range m.Layers {
		img.layers[desc.Digest] = documentsLayer{desc: desc, diffID: diffIDs[i], open: open}
	}
	return partial.CompressedToImage(img)
}

// documentsImage is the least of an image from which go-containerregistry makes
// the rest: partial.CompressedImageCore.
type documentsImage struct {
	mediaType types.MediaType
	manifest  []byte
	config    []byte
	layers    map[v1.Hash]documentsLayer
}

func (i documentsImage) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i documentsImage) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i documentsImage) RawConfigFile() ([]byte, error)      { return i.config, nil }

func (i documentsImage) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if layer, ok := i.layers[digest]; ok {
		return layer, nil
	}
	return nil, fmt.Errorf("layer %s: %w", digest, fs.ErrNotExist)
}

type documentsLayer struct {
	desc   v1.Descriptor
	diffID v1.Hash
	open   func(v1.Descriptor) (io.ReadCloser, error)
}

func (l documentsLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l documentsLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l documentsLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l documentsLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }
func (l documentsLayer) Descriptor() (*v1.Descriptor, error) { return &l.desc, nil }
func (l documentsLayer) Compressed() (io.ReadCloser, error)  { return l.open(l.desc) }
