package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A packed image is one of an archive, for this machine's platform.
type packed struct {
	names     []string           // normalised references
	tags      []string           // what is a name only with a repository before it
	target    ocispec.Descriptor // what the names mean: documents[len-1]
	documents []document         // configuration, manifest, indexes
	manifest  ocispec.Manifest
	config    ocispec.Image
	layers    []layer
}

// A document is a blob held in memory with what it refers to.
type document struct {
	ocispec.Descriptor
	raw  []byte
	refs []digest.Digest
}

// A layer is a blob of a source. Its digest is still to be verified.
type layer struct {
	ocispec.Descriptor
	open func() (blob, error)
}

// errOtherPlatform says that an image is not for this machine.
type errOtherPlatform struct{ platforms []string }

func (e *errOtherPlatform) Error() string {
	return fmt.Sprintf("no image for %s (only for %s)", platforms.DefaultString(), strings.Join(e.platforms, ", "))
}

// readImages finds what images a source has for this machine.
func readImages(s source) ([]*packed, error) {
	if _, err := readDocument(s, ocispec.ImageLayoutFile); err == nil {
		return readLayout(s)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return readDocker(s)
}

// readLayout reads an OCI image layout, image specification 1.1, image-layout.md.
func readLayout(s source) ([]*packed, error) {
	raw, err := readDocument(s, ocispec.ImageIndexFile)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("read %s: %w", ocispec.ImageIndexFile, err)
	}
	var all []*packed
	var others errOtherPlatform
	for _, desc := range index.Manifests {
		p, err := readTarget(s, desc, 0)
		var other *errOtherPlatform
		if errors.As(err, &other) {
			others.platforms = append(others.platforms, other.platforms...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := p.addName(desc.Annotations); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(all) == 0 && len(others.platforms) > 0 {
		return nil, &others
	}
	if len(all) == 0 {
		return nil, errors.New("no image in it")
	}
	return all, nil
}

// addName takes the name that the tools write: containerd's own annotation is
// a whole reference, OCI's may be one, or a tag alone.
func (p *packed) addName(annotations map[string]string) error {
	name := annotations[images.AnnotationImageName]
	if ref := annotations[ocispec.AnnotationRefName]; name == "" && ref != "" {
		if !strings.ContainsAny(ref, "/:@") {
			p.tags = append(p.tags, ref)
			return nil
		}
		name = ref
	}
	if name == "" {
		return nil
	}
	ref, err := Normalize(name)
	if err != nil {
		return err
	}
	p.names = append(p.names, ref)
	return nil
}

// maxNesting bounds indexes in indexes; tools write one.
const maxNesting = 4

// readTarget reads a manifest, or an index and in it the manifest for this
// machine.
func readTarget(s source, desc ocispec.Descriptor, depth int) (*packed, error) {
	switch {
	case images.IsManifestType(desc.MediaType):
		return readManifest(s, desc)
	case images.IsIndexType(desc.MediaType) && depth < maxNesting:
	default:
		return nil, fmt.Errorf("%s is a %q, not an image", desc.Digest, desc.MediaType)
	}
	raw, err := readVerified(s, desc)
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("read index %s: %w", desc.Digest, err)
	}
	var others errOtherPlatform
	for _, m := range byPreference(index.Manifests) {
		if m.Platform != nil && !platforms.Default().Match(*m.Platform) {
			others.platforms = append(others.platforms, platforms.Format(*m.Platform))
			continue
		}
		p, err := readTarget(s, m, depth+1)
		var other *errOtherPlatform
		if errors.As(err, &other) {
			others.platforms = append(others.platforms, other.platforms...)
			continue
		}
		if err != nil {
			return nil, err
		}
		p.documents = append(p.documents, document{desc, raw, []digest.Digest{m.Digest}})
		p.target = desc
		return p, nil
	}
	return nil, &others
}

// byPreference puts the best match for this machine first, as runtimes do.
func byPreference(all []ocispec.Descriptor) []ocispec.Descriptor {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b ocispec.Descriptor) int {
		switch {
		case a.Platform == nil || b.Platform == nil:
			return 0
		case platforms.Default().Less(*a.Platform, *b.Platform):
			return -1
		case platforms.Default().Less(*b.Platform, *a.Platform):
			return 1
		}
		return 0
	})
	return sorted
}

func readManifest(s source, desc ocispec.Descriptor) (*packed, error) {
	raw, err := readVerified(s, desc)
	if err != nil {
		return nil, err
	}
	p := &packed{target: desc}
	if err := json.Unmarshal(raw, &p.manifest); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", desc.Digest, err)
	}
	if !images.IsConfigType(p.manifest.Config.MediaType) {
		return nil, fmt.Errorf("%s is no image: its configuration is a %q", desc.Digest, p.manifest.Config.MediaType)
	}
	config, err := readVerified(s, p.manifest.Config)
	if err != nil {
		return nil, err
	}
	if err := p.setConfig(config); err != nil {
		return nil, err
	}
	refs := []digest.Digest{p.manifest.Config.Digest}
	for _, l := range p.manifest.Layers {
		if err := l.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("layer of %s: %w", desc.Digest, err)
		}
		if !images.IsLayerType(l.MediaType) {
			return nil, fmt.Errorf("layer %s is a %q, which cannot be unpacked", l.Digest, l.MediaType)
		}
		refs = append(refs, l.Digest)
		p.layers = append(p.layers, layer{l, func() (blob, error) { return openVerifiedSize(s, l) }})
	}
	p.documents = []document{{p.manifest.Config, config, nil}, {desc, raw, refs}}
	return p, p.validate()
}

// setConfig reads the configuration and refuses those of other platforms.
func (p *packed) setConfig(raw []byte) error {
	if err := json.Unmarshal(raw, &p.config); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	of := p.config.Platform
	if of.OS != "" && of.Architecture != "" && !platforms.Default().Match(platforms.Normalize(of)) {
		return &errOtherPlatform{[]string{platforms.Format(of)}}
	}
	return nil
}

// validate checks that the configuration speaks of as many layers as there
// are: one more would never be verified.
func (p *packed) validate() error {
	if n, m := len(p.layers), len(p.config.RootFS.DiffIDs); n != m {
		return fmt.Errorf("image %s has %d layers, but its configuration names %d", p.target.Digest, n, m)
	}
	for _, d := range p.config.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("image %s: layer digest in its configuration: %w", p.target.Digest, err)
		}
	}
	return nil
}

func blobPath(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// openVerifiedSize opens a blob that has the size its descriptor promises.
func openVerifiedSize(s source, desc ocispec.Descriptor) (blob, error) {
	if err := desc.Digest.Validate(); err != nil {
		return blob{}, fmt.Errorf("digest %q: %w", desc.Digest, err)
	}
	b, err := s.open(blobPath(desc.Digest))
	if err != nil {
		return blob{}, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if b.size != desc.Size {
		b.close()
		return blob{}, fmt.Errorf("blob %s has %d bytes, want %d", desc.Digest, b.size, desc.Size)
	}
	return b, nil
}

// readVerified reads a document whose digest is known.
func readVerified(s source, desc ocispec.Descriptor) ([]byte, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", desc.Digest, err)
	}
	raw, err := readDocument(s, blobPath(desc.Digest))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if got := desc.Digest.Algorithm().FromBytes(raw); got != desc.Digest {
		return nil, fmt.Errorf("blob %s has the digest %s", desc.Digest, got)
	}
	if int64(len(raw)) != desc.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, want %d", desc.Digest, len(raw), desc.Size)
	}
	return raw, nil
}
