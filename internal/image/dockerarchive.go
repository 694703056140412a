package image

import (
	"bytes"
	"cmp"
	"context"
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
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// dockerEntry is one image of the manifest.json that "docker save" writes.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// readDocker reads an archive of "docker save". Such an archive has no manifests and no
// digests of its layers, so that the manifest is built here, reproducibly. The digest of
// an uncompressed layer is its diff ID; a compressed one, which is rare, is read once to
// compute its digest.
func (l *layout) readDocker(ctx context.Context) ([]Image, error) {
	raw, err := l.readDocument(ctx, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	}
	if err != nil {
		return nil, err
	}
	var entries []dockerEntry
	if err := unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	var images imageList
	for i, e := range entries {
		img, err := l.dockerImage(ctx, e)
		if errors.Is(err, errPassedOver) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", cmp.Or(strings.Join(e.RepoTags, ", "), fmt.Sprint("number ", i+1)), err)
		}
		for _, tag := range e.RepoTags {
			ref, err := ParseReference(tag)
			if err != nil {
				return nil, err
			}
			img.Names = append(img.Names, ref.Name())
		}
		images.add(img)
	}
	return images.all, nil
}

func (l *layout) dockerImage(ctx context.Context, e dockerEntry) (Image, error) {
	config, err := l.readDocument(ctx, e.Config)
	if err != nil {
		return Image{}, fmt.Errorf("configuration: %w", err)
	}
	configDesc, err := descriptorOf(types.DockerConfigJSON, config)
	if err != nil {
		return Image{}, err
	}
	// Docker names the configuration by its digest.
	named := strings.TrimSuffix(path.Base(e.Config), ".json")
	if len(named) == 64 && named != configDesc.Digest.Hex {
		return Image{}, fmt.Errorf("configuration %s: has %s: %w", e.Config, configDesc.Digest, ErrDigest)
	}
	var file v1.ConfigFile
	if err := unmarshal(config, &file); err != nil {
		return Image{}, fmt.Errorf("configuration %s: %w", e.Config, err)
	}
	if len(file.RootFS.DiffIDs) != len(e.Layers) {
		return Image{}, fmt.Errorf("%d layers, the configuration has %d: %w", len(e.Layers), len(file.RootFS.DiffIDs), ErrDigest)
	}
	// Marshalled as containerd's own types are: loading the same archive has always
	// given this digest, and profiles name images by it.
	made := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: string(types.DockerManifestSchema2), Config: ociDescriptor(configDesc)}
	names := map[v1.Hash]string{}
	for i, name := range e.Layers {
		desc, err := l.describeLayer(ctx, name, file.RootFS.DiffIDs[i])
		if err != nil {
			return Image{}, fmt.Errorf("layer %s: %w", name, err)
		}
		names[desc.Digest] = name
		made.Layers = append(made.Layers, ociDescriptor(desc))
	}
	raw, err := json.Marshal(made)
	if err != nil {
		return Image{}, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return Image{}, err
	}
	target, err := descriptorOf(manifest.MediaType, raw)
	if err != nil {
		return Image{}, err
	}
	return l.newImage(&Stored{
		Target: target, Manifest: manifest,
		Documents: []Document{{Descriptor: configDesc, Raw: config}, {Descriptor: target, Raw: raw, Refs: blobsOf(manifest)}},
		open: func(layer v1.Descriptor) (Blob, error) {
			blob, err := l.store.open(names[layer.Digest])
			if err != nil {
				return Blob{}, fmt.Errorf("layer %s: %w", names[layer.Digest], err)
			}
			return blob, nil
		},
	})
}

func ociDescriptor(d v1.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: string(d.MediaType), Digest: digest.Digest(d.Digest.String()), Size: d.Size}
}

func descriptorOf(mediaType types.MediaType, raw []byte) (v1.Descriptor, error) {
	sum, size, err := v1.SHA256(bytes.NewReader(raw))
	return v1.Descriptor{MediaType: mediaType, Digest: sum, Size: size}, err
}

// describeLayer finds out how a layer is compressed, and its digest. Each file is read
// once, because several images may have it.
func (l *layout) describeLayer(ctx context.Context, name string, diffID v1.Hash) (v1.Descriptor, error) {
	if err := ctx.Err(); err != nil {
		return v1.Descriptor{}, err
	}
	if desc, ok := l.compressed[name]; ok {
		return desc, nil
	}
	f, err := l.store.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	desc := v1.Descriptor{Size: f.Size, Digest: diffID, MediaType: types.DockerUncompressedLayer}
	magic := make([]byte, 4)
	n, err := f.ReadAt(magic, 0)
	if err != nil && err != io.EOF {
		return v1.Descriptor{}, err
	}
	switch compressionOf(magic[:n]) {
	case Gzip:
		desc.MediaType = types.DockerLayer
	case Zstd:
		desc.MediaType = dockerZstdLayer
	default:
		return desc, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, rootfs.ContextReader(ctx, f.Reader())); err != nil {
		return v1.Descriptor{}, err
	}
	desc.Digest = hashOf(sum)
	l.compressed[name] = desc
	return desc, nil
}
