package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// errNoLayout is returned for a store without the file oci-layout.
var errNoLayout = errors.New("neither an OCI image layout nor written by docker save")

// Annotations of an index that name an image: containerd's in full, and that
// of the OCI specification, which may be a tag only.
const (
	nameAnnotation    = "io.containerd.image.name"
	refNameAnnotation = "org.opencontainers.image.ref.name"
)

// MaxNesting bounds indexes in indexes, index.json not counted. Tools write one.
const MaxNesting = 4

// A layout is a store whose images for one platform are looked for.
type layout struct {
	store
	platform platforms.MatchComparer
	others   []string         // platforms of images that were passed over
	passed   map[v1.Hash]bool // indexes and manifests without an image for the platform
}

// read reads an OCI image layout (image specification 1.1, image-layout.md).
func (l *layout) read() ([]Image, error) {
	if _, err := readDocument(l.store, "oci-layout"); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	} else if err != nil {
		return nil, err
	}
	raw, err := readDocument(l.store, "index.json")
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var images []Image
	for _, desc := range index.Manifests {
		img, err := l.image(desc, 0)
		if errors.Is(err, errPassedOver) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := img.addName(desc.Annotations); err != nil {
			return nil, err
		}
		images = addImage(images, img)
	}
	return images, nil
}

// addImage adds an image, or its names to those of an equal one.
func addImage(images []Image, img Image) []Image {
	for i := range images {
		if have := &images[i]; have.Stored.Target.Digest == img.Stored.Target.Digest {
			have.Names = appendNew(have.Names, img.Names)
			have.Tags = appendNew(have.Tags, img.Tags)
			return images
		}
	}
	return append(images, img)
}

func appendNew(list, names []string) []string {
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// addName adds the name that an index gives an image.
func (i *Image) addName(annotations map[string]string) error {
	name := annotations[nameAnnotation]
	if ref := annotations[refNameAnnotation]; name == "" && ref != "" {
		if !strings.ContainsAny(ref, ":/@") {
			i.Tags = append(i.Tags, ref)
			return nil
		}
		name = ref
	}
	if name == "" {
		return nil
	}
	ref, err := ParseReference(name)
	if err != nil {
		return err
	}
	i.Names = append(i.Names, ref.Name())
	return nil
}

// errPassedOver is returned for an artifact, and for an image or index without one
// for the platform. It is no error of the archive: the specification requires that
// unknown media types are ignored, because layouts contain signatures beside images.
var errPassedOver = errors.New("no image for the platform")

// image returns the image that a descriptor means.
func (l *layout) image(desc v1.Descriptor, depth int) (Image, error) {
	if p := platformOf(desc); p != nil && !l.platform.Match(*p) {
		return Image{}, l.passOver(*p)
	}
	// Without this a few nested indexes, each of which lists the next one hundreds of
	// times, would take forever.
	if l.passed[desc.Digest] {
		return Image{}, errPassedOver
	}
	var img Image
	var err error
	switch {
	case desc.MediaType.IsImage():
		img, err = l.manifest(desc)
	case !desc.MediaType.IsIndex():
		err = errPassedOver
	case depth >= MaxNesting:
		err = &LimitError{Limit: "indexes inside indexes", Value: MaxNesting}
	default:
		img, err = l.index(desc, depth)
	}
	if errors.Is(err, errPassedOver) {
		l.passed[desc.Digest] = true
	}
	return img, err
}

func (l *layout) passOver(p ocispec.Platform) error {
	l.others = appendNew(l.others, []string{platforms.Format(p)})
	return errPassedOver
}

// index returns the image of an index that suits the platform best.
func (l *layout) index(desc v1.Descriptor, depth int) (Image, error) {
	raw, err := readBlob(l.store, desc)
	if err != nil {
		return Image{}, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return Image{}, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	for _, inner := range ByPreference(index.Manifests, platformOf, l.platform) {
		img, err := l.image(inner, depth+1)
		if errors.Is(err, errPassedOver) {
			continue
		}
		if err != nil {
			return Image{}, err
		}
		img.Stored.Target = desc
		img.Stored.Documents = append(img.Stored.Documents, Document{Descriptor: desc, Raw: raw, Refs: []v1.Hash{inner.Digest}})
		return img, nil
	}
	return Image{}, errPassedOver
}

// ByPreference returns descriptors with the best match for a platform first, as
// runtimes choose. of returns the platform of a descriptor, or nil if it has none.
func ByPreference[T any](all []T, of func(T) *ocispec.Platform, platform platforms.MatchComparer) []T {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b T) int {
		p, q := of(a), of(b)
		switch {
		case p == nil || q == nil:
			return 0
		case platform.Less(*p, *q):
			return -1
		case platform.Less(*q, *p):
			return 1
		}
		return 0
	})
	return sorted
}

func platformOf(d v1.Descriptor) *ocispec.Platform {
	if d.Platform == nil {
		return nil
	}
	p := specOf(*d.Platform)
	return &p
}

func specOf(p v1.Platform) ocispec.Platform {
	return platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures})
}

func (l *layout) manifest(desc v1.Descriptor) (Image, error) {
	raw, err := readBlob(l.store, desc)
	if err != nil {
		return Image{}, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return Image{}, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	if !manifest.Config.MediaType.IsConfig() {
		return Image{}, errPassedOver // an artifact, such as a signature
	}
	for _, layer := range manifest.Layers {
		if !isLayer(layer.MediaType) {
			return Image{}, fmt.Errorf("layer %s is a %q, which cannot be unpacked", layer.Digest, layer.MediaType)
		}
	}
	config, err := readBlob(l.store, manifest.Config)
	if err != nil {
		return Image{}, fmt.Errorf("configuration: %w", err)
	}
	return l.newImage(&Stored{
		Target: desc, Manifest: manifest,
		Documents: []Document{{Descriptor: manifest.Config, Raw: config}, {Descriptor: desc, Raw: raw, Refs: blobsOf(manifest)}},
		open:      func(layer v1.Descriptor) (Blob, error) { return openBlob(l.store, layer) },
	})
}

// blobsOf returns the blobs that a manifest refers to.
func blobsOf(m v1.Manifest) []v1.Hash {
	refs := []v1.Hash{m.Config.Digest}
	for _, layer := range m.Layers {
		refs = append(refs, layer.Digest)
	}
	return refs
}

// isLayer reports whether runtimes unpack a media type. They detect the compression of a
// layer by its first bytes.
func isLayer(t types.MediaType) bool {
	return t.IsLayer() || strings.HasPrefix(string(t), "application/vnd.oci.image.layer.") || t == dockerZstdLayer
}

const dockerZstdLayer = types.MediaType("application/vnd.docker.image.rootfs.diff.tar.zstd")

// newImage checks that manifest and configuration belong together and that the
// image is for the platform.
func (l *layout) newImage(s *Stored) (Image, error) {
	config := s.Documents[0].Raw
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return Image{}, fmt.Errorf("configuration %s: %w", s.Manifest.Config.Digest, err)
	}
	of := ocispec.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant, OSVersion: file.OSVersion, OSFeatures: file.OSFeatures}
	if of.OS != "" && of.Architecture != "" && !l.platform.Match(platforms.Normalize(of)) {
		return Image{}, l.passOver(of)
	}
	s.DiffIDs = file.RootFS.DiffIDs
	img, err := FromDocuments(s.Target.MediaType, s.Documents[1].Raw, config, s.openVerified)
	return Image{Image: img, Stored: s}, err
}

// openBlob opens a blob that has the size its descriptor promises.
func openBlob(s store, desc v1.Descriptor) (Blob, error) {
	if desc.Digest.Algorithm != "sha256" {
		return Blob{}, fmt.Errorf("blob %s: digest algorithm is not supported", desc.Digest)
	}
	blob, err := s.open("blobs/sha256/" + desc.Digest.Hex)
	if err != nil {
		return Blob{}, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	if blob.Size != desc.Size {
		blob.Close()
		return Blob{}, fmt.Errorf("blob %s: %d bytes, not %d: %w", desc.Digest, blob.Size, desc.Size, ErrDigest)
	}
	return blob, nil
}

func readBlob(s store, desc v1.Descriptor) ([]byte, error) {
	if desc.Size > maxDocument {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, &LimitError{Limit: "bytes of a document", Value: maxDocument})
	}
	blob, err := openBlob(s, desc)
	if err != nil {
		return nil, err
	}
	checked, err := verifyBlob(blob, desc)
	if err != nil {
		return nil, err
	}
	defer checked.Close()
	return io.ReadAll(checked)
}

// readDocument reads a file that no digest stands for.
func readDocument(s store, name string) ([]byte, error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size > maxDocument {
		return nil, fmt.Errorf("%s: %w", name, &LimitError{Limit: "bytes of a document", Value: maxDocument})
	}
	return io.ReadAll(f.Reader())
}
