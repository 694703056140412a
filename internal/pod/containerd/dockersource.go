package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// readDocker reads what `docker save` writes, version 1.2 of its format: a
// list of images in manifest.json, without a manifest of their own. That is
// made here, the same for the same image.
func readDocker(s source) ([]*packed, error) {
	raw, err := readDocument(s, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("neither an OCI layout nor a docker archive")
	}
	if err != nil {
		return nil, err
	}
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read manifest.json: %w", err)
	}
	var all []*packed
	for _, entry := range list {
		p, err := readDockerImage(s, entry.Config, entry.Layers)
		if err != nil {
			return nil, err
		}
		for _, tag := range entry.RepoTags {
			ref, err := Normalize(tag)
			if err != nil {
				return nil, err
			}
			p.names = append(p.names, ref)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("no image in it")
	}
	return all, nil
}

func readDockerImage(s source, configName string, layers []string) (*packed, error) {
	config, err := readDocument(s, configName)
	if err != nil {
		return nil, err
	}
	p := &packed{}
	if err := p.setConfig(config); err != nil {
		return nil, err
	}
	p.manifest = ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: images.MediaTypeDockerSchema2Manifest,
		Config: describe(images.MediaTypeDockerSchema2Config, config),
	}
	if err := checkName(configName, p.manifest.Config.Digest); err != nil {
		return nil, err
	}
	refs := []digest.Digest{p.manifest.Config.Digest}
	for i, name := range layers {
		if i >= len(p.config.RootFS.DiffIDs) {
			break // validate tells
		}
		l, err := dockerLayer(s, name, p.config.RootFS.DiffIDs[i])
		if err != nil {
			return nil, err
		}
		p.layers = append(p.layers, l)
		p.manifest.Layers = append(p.manifest.Layers, l.Descriptor)
		refs = append(refs, l.Digest)
	}
	raw, err := json.Marshal(p.manifest)
	if err != nil {
		return nil, err
	}
	p.target = describe(p.manifest.MediaType, raw)
	p.documents = []document{{p.manifest.Config, config, nil}, {p.target, raw, refs}}
	if len(layers) != len(p.config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("image %s has %d layers, but its configuration names %d", configName, len(layers), len(p.config.RootFS.DiffIDs))
	}
	return p, p.validate()
}

// checkName holds a name that is a digest against what it names.
func checkName(name string, d digest.Digest) error {
	base := strings.TrimSuffix(path.Base(name), ".json")
	if named := digest.NewDigestFromEncoded(digest.SHA256, base); named.Validate() == nil && named != d {
		return fmt.Errorf("%s has the digest %s", name, d)
	}
	return nil
}

// dockerLayer describes a layer. The configuration has the digest of its
// archive; one that is compressed, which is rare here, has to be read for its
// own.
func dockerLayer(s source, name string, diffID digest.Digest) (layer, error) {
	b, err := s.open(name)
	if err != nil {
		return layer{}, err
	}
	defer b.close()
	head := make([]byte, 4)
	n, err := b.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return layer{}, fmt.Errorf("read %s: %w", name, err)
	}
	desc := ocispec.Descriptor{MediaType: images.MediaTypeDockerSchema2Layer, Digest: diffID, Size: b.size}
	if head := head[:n]; compressed(head) {
		desc.MediaType = images.MediaTypeDockerSchema2LayerGzip
		if strings.HasPrefix(string(head), zstdMagic) {
			desc.MediaType = images.MediaTypeDockerSchema2LayerZstd
		}
		if desc.Digest, err = digest.FromReader(b.reader()); err != nil {
			return layer{}, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return layer{desc, func() (blob, error) { return s.open(name) }}, nil
}
