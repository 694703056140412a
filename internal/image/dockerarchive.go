package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// dockerEntry is one image of the manifest.json that "docker save" writes.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// readDockerArchive reads what "docker save" writes. Such an archive has no
// manifests and no digests of its layers as they lie there: the manifest is
// made here, in which a layer that is not compressed is known by its diff id,
// and a compressed one, which is rare, is read once for its digest.
func readDockerArchive(s store) ([]Image, error) {
	raw, err := readDocument(s, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	}
	if err != nil {
		return nil, err
	}
	var entries []dockerEntry
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var images []Image
	for _, e := range entries {
		img, err := e.open(s)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", strings.Join(e.RepoTags, ", "), err)
		}
		var names []string
		for _, tag := range e.RepoTags {
			ref, err := ParseReference(tag)
			if err != nil {
				return nil, err
			}
			names = append(names, ref.Name())
		}
		images = addImage(images, Image{Image: img, Names: names})
	}
	return images, nil
}

func (e dockerEntry) open(s store) (v1.Image, error) {
	config, err := readDocument(s, e.Config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	// Docker names the configuration by its digest.
	named := strings.TrimSuffix(path.Base(e.Config), ".json")
	if len(named) == 64 && named != digest.Hex {
		return nil, fmt.Errorf("configuration %s: has %s: %w", e.Config, digest, ErrDigest)
	}
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", e.Config, err)
	}
	if len(file.RootFS.DiffIDs) != len(e.Layers) {
		return nil, fmt.Errorf("%d layers, the configuration has %d: %w", len(e.Layers), len(file.RootFS.DiffIDs), ErrDigest)
	}
	manifest := v1.Manifest{
		SchemaVersion: 2, MediaType: types.DockerManifestSchema2,
		Config: v1.Descriptor{MediaType: types.DockerConfigJSON, Digest: digest, Size: size},
	}
	files := map[v1.Hash]string{}
	for i, name := range e.Layers {
		desc, err := describeLayer(s, name, file.RootFS.DiffIDs[i])
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		files[desc.Digest] = name
		manifest.Layers = append(manifest.Layers, desc)
	}
	raw, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return newStored(storedImage{
		mediaType: manifest.MediaType, manifest: raw, config: config,
		open: func(layer v1.Descriptor) (io.ReadCloser, error) { return openNamed(s, files[layer.Digest], layer) },
	})
}

// describeLayer finds out how a layer is compressed, and its digest.
func describeLayer(s store, name string, diffID v1.Hash) (v1.Descriptor, error) {
	f, size, err := s.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	desc := v1.Descriptor{Size: size, Digest: diffID, MediaType: types.DockerUncompressedLayer}
	magic := make([]byte, 4)
	n, err := io.ReadFull(f, magic)
	if err != nil && n == 0 && size > 0 {
		return v1.Descriptor{}, err
	}
	switch magic = magic[:n]; {
	case bytes.HasPrefix(magic, gzipMagic):
		desc.MediaType = types.DockerLayer
	case bytes.HasPrefix(magic, zstdMagic):
		desc.MediaType = types.OCILayerZStd
	default:
		return desc, nil
	}
	sum := sha256.New()
	sum.Write(magic)
	if _, err := io.Copy(sum, f); err != nil {
		return v1.Descriptor{}, err
	}
	desc.Digest = hashOf(sum)
	return desc, nil
}

func openNamed(s store, name string, desc v1.Descriptor) (io.ReadCloser, error) {
	f, _, err := s.open(name)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", name, err)
	}
	checked, err := verify(f, "layer "+name, desc.Digest, desc.Size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return readCloser{checked, f}, nil
}
