package image

import (
	"cmp"
	"context"
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

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/text"
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
	platform   platforms.MatchComparer
	others     []string                 // platforms of images that were passed over
	artifacts  []string                 // types of artifacts that were passed over
	visited    map[v1.Hash]visit        // indexes and manifests
	compressed map[string]v1.Descriptor // layers of a docker archive, by their names
	bytes      int64                    // of all documents so far
}

// A visit is the result of reading an index or a manifest. Without it a few nested
// indexes, each of which lists the next one hundreds of times, would take forever.
type visit struct {
	desc v1.Descriptor
	img  Image
	err  error // errPassedOver; other errors end the reading
}

func newLayout(s store, platform platforms.MatchComparer) *layout {
	return &layout{store: s, platform: platform, visited: map[v1.Hash]visit{}, compressed: map[string]v1.Descriptor{}}
}

// read reads an OCI image layout (image specification 1.1, image-layout.md).
func (l *layout) read(ctx context.Context) ([]Image, error) {
	if _, err := l.readDocument(ctx, "oci-layout"); errors.Is(err, fs.ErrNotExist) {
		return nil, errNoLayout
	} else if err != nil {
		return nil, err
	}
	raw, err := l.readDocument(ctx, "index.json")
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	var images imageList
	for _, desc := range index.Manifests {
		img, err := l.image(ctx, desc, 0)
		if errors.Is(err, errPassedOver) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := img.addName(desc.Annotations); err != nil {
			return nil, err
		}
		images.add(img)
	}
	return images.all, nil
}

// An imageList is a list of different images.
type imageList struct {
	all   []Image
	index map[v1.Hash]int // of an image in all, by its target
	names map[string]bool // target and name or tag
}

// add adds an image, or its names to those of an equal one.
func (l *imageList) add(img Image) {
	if l.index == nil {
		l.index, l.names = map[v1.Hash]int{}, map[string]bool{}
	}
	target := img.Stored.Target.Digest
	i, have := l.index[target]
	if !have {
		i = len(l.all)
		l.index[target] = i
		l.all = append(l.all, Image{Image: img.Image, Stored: img.Stored})
	}
	l.all[i].Names = l.appendNew(l.all[i].Names, target.String()+" name ", img.Names)
	l.all[i].Tags = l.appendNew(l.all[i].Tags, target.String()+" tag ", img.Tags)
}

func (l *imageList) appendNew(list []string, kind string, names []string) []string {
	for _, name := range names {
		if !l.names[kind+name] {
			l.names[kind+name] = true
			list = append(list, name)
		}
	}
	return list
}

// appendSome adds a value that a list does not contain, for a message.
func appendSome(list []string, value string) []string {
	const enough = 10
	if len(list) >= enough || slices.Contains(list, value) {
		return list
	}
	return append(list, value)
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
func (l *layout) image(ctx context.Context, desc v1.Descriptor, depth int) (Image, error) {
	if err := ctx.Err(); err != nil {
		return Image{}, err
	}
	if p := platformOf(desc); p != nil && !l.platform.Match(*p) {
		return Image{}, l.passOver(*p)
	}
	if !desc.MediaType.IsImage() && !desc.MediaType.IsIndex() {
		return Image{}, l.passOverArtifact(string(desc.MediaType))
	}
	if v, ok := l.visited[desc.Digest]; ok && v.desc.Size == desc.Size && v.desc.MediaType.IsIndex() == desc.MediaType.IsIndex() {
		return v.img, v.err
	}
	var img Image
	var err error
	switch {
	case desc.MediaType.IsImage():
		img, err = l.manifest(ctx, desc)
	case depth >= MaxNesting:
		err = &LimitError{Limit: "indexes inside indexes", Value: MaxNesting}
	default:
		img, err = l.index(ctx, desc, depth)
	}
	if err == nil || errors.Is(err, errPassedOver) {
		l.visited[desc.Digest] = visit{desc, img, err}
	}
	return img, err
}

func (l *layout) passOver(p ocispec.Platform) error {
	l.others = appendSome(l.others, platforms.Format(p))
	return errPassedOver
}

func (l *layout) passOverArtifact(kind string) error {
	l.artifacts = appendSome(l.artifacts, kind)
	return errPassedOver
}

// noImage returns the error for a store without an image for the platform.
func (l *layout) noImage(platform ocispec.Platform) error {
	switch {
	case len(l.others) > 0:
		return fmt.Errorf("%w for %s, only for %s", ErrNoImage, platforms.Format(platform), strings.Join(l.others, ", "))
	case len(l.artifacts) > 0:
		return fmt.Errorf("%w, only artifacts (%s)", ErrNoImage, text.Excerpt(strings.Join(l.artifacts, ", "), 500))
	}
	return ErrNoImage
}

// index returns the image of an index that suits the platform best.
func (l *layout) index(ctx context.Context, desc v1.Descriptor, depth int) (Image, error) {
	raw, err := l.readBlob(ctx, desc)
	if err != nil {
		return Image{}, err
	}
	var index v1.IndexManifest
	if err := unmarshal(raw, &index); err != nil {
		return Image{}, fmt.Errorf("index %s: %w", desc.Digest, err)
	}
	for _, inner := range ByPreference(index.Manifests, platformOf, l.platform) {
		img, err := l.image(ctx, inner, depth+1)
		if errors.Is(err, errPassedOver) {
			continue
		}
		if err != nil {
			return Image{}, err
		}
		outer := *img.Stored // the manifest may be listed alone, too
		outer.Target = desc
		outer.Documents = append(slices.Clip(outer.Documents), Document{Descriptor: desc, Raw: raw, Refs: []v1.Hash{inner.Digest}})
		return Image{Image: img.Image, Stored: &outer}, nil
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

func (l *layout) manifest(ctx context.Context, desc v1.Descriptor) (Image, error) {
	raw, err := l.readBlob(ctx, desc)
	if err != nil {
		return Image{}, err
	}
	var manifest v1.Manifest
	if err := unmarshal(raw, &manifest); err != nil {
		return Image{}, fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	if kind := artifactType(manifest); kind != "" {
		return Image{}, l.passOverArtifact(kind)
	}
	for _, layer := range manifest.Layers {
		if !isLayer(layer.MediaType) {
			return Image{}, fmt.Errorf("layer %s is a %q, which cannot be unpacked", layer.Digest, layer.MediaType)
		}
	}
	config, err := l.readBlob(ctx, manifest.Config)
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

// artifactType returns the type of a manifest that is not an image but an artifact, such
// as a signature, an SBOM or an attestation of its build (image specification 1.1,
// manifest.md), and "" for an image. Older tools, among them cosign and buildkit, give an
// artifact the configuration of an image, but no layer that could be unpacked.
func artifactType(m v1.Manifest) string {
	unpacked := slices.ContainsFunc(m.Layers, func(layer v1.Descriptor) bool { return isLayer(layer.MediaType) })
	switch {
	case !m.Config.MediaType.IsConfig():
		return cmp.Or(m.Config.ArtifactType, string(m.Config.MediaType), "no type")
	case len(m.Layers) > 0 && !unpacked:
		return string(m.Layers[0].MediaType)
	}
	return ""
}

// IsArtifact reports whether a manifest is not an image but an artifact, such as a
// signature, an SBOM or an attestation of its build.
func IsArtifact(m ocispec.Manifest) bool {
	of := v1.Manifest{Config: v1.Descriptor{MediaType: types.MediaType(m.Config.MediaType), ArtifactType: m.Config.ArtifactType}}
	for _, layer := range m.Layers {
		of.Layers = append(of.Layers, v1.Descriptor{MediaType: types.MediaType(layer.MediaType)})
	}
	return artifactType(of) != ""
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
	if err := unmarshal(config, &file); err != nil {
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

func (l *layout) readBlob(ctx context.Context, desc v1.Descriptor) ([]byte, error) {
	if err := l.count(desc.Size); err != nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	blob, err := openBlob(l.store, desc)
	if err != nil {
		return nil, err
	}
	checked, err := verifyBlob(blob, desc)
	if err != nil {
		return nil, err
	}
	defer checked.Close()
	return io.ReadAll(rootfs.ContextReader(ctx, checked))
}

// readDocument reads a file that no digest stands for.
func (l *layout) readDocument(ctx context.Context, name string) ([]byte, error) {
	f, err := l.store.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := l.count(f.Size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return io.ReadAll(rootfs.ContextReader(ctx, f.Reader()))
}

// count refuses a document of a size that is beyond the limits.
func (l *layout) count(size int64) error {
	if size > maxDocument {
		return &LimitError{Limit: "bytes of a document", Value: maxDocument}
	}
	if l.bytes += size; l.bytes > maxDocuments {
		return &LimitError{Limit: "bytes of all documents", Value: maxDocuments}
	}
	return nil
}

// unmarshal parses a document with a limited number of values.
func unmarshal(raw []byte, v any) error {
	if err := checkValues(raw); err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// checkValues refuses a document with too many values.
func checkValues(raw []byte) error {
	values, inString, escaped := 0, false, false
	for _, c := range raw {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == ',' || c == '{' || c == '[':
			values++
		}
	}
	if values > maxValues {
		return &LimitError{Limit: "values in a document", Value: maxValues}
	}
	return nil
}
