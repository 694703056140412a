package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// An Image is an image with its names. All that is read through it is checked
// against its digest and size before the end is seen.
type Image struct {
	v1.Image
	Names  []string // in full, as Reference.Name; may be empty
	Tags   []string // names that are a tag alone, without a repository
	Stored *Stored  // its blobs in a layout or archive; nil for an image of a registry
}

// A Set is the images of one source. It must be closed when they are no longer
// read.
type Set struct {
	Images []Image
	closer interface{ Close() error }
}

// Close releases the source. The images can no longer be read.
func (s *Set) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// ErrNoImage is returned if a source does not have the image that is asked for.
var ErrNoImage = errors.New("no such image")

// Find returns the image with a name or digest. An empty reference means the only image
// of the set.
func (s *Set) Find(ref string) (Image, error) {
	if ref == "" {
		if !s.isOne() {
			return Image{}, fmt.Errorf("%d images, and none was named; they are %s: %w", len(s.Images), s.names(), ErrNoImage)
		}
		return s.Images[0], nil
	}
	want, err := ParseReference(ref)
	if err != nil {
		return Image{}, err
	}
	for _, img := range s.Images {
		if slices.Contains(img.Names, want.Name()) {
			return img, nil
		}
		if digest, err := img.Digest(); err == nil && digest.String() == want.Digest {
			return img, nil
		}
	}
	return Image{}, fmt.Errorf("%s: %w; there are %s", ref, ErrNoImage, s.names())
}

// isOne reports whether all images are the same image, which may be listed directly and
// in an index.
func (s *Set) isOne() bool {
	if len(s.Images) < 2 {
		return len(s.Images) == 1
	}
	first, err := s.Images[0].Digest()
	return err == nil && !slices.ContainsFunc(s.Images, func(img Image) bool {
		digest, err := img.Digest()
		return err != nil || digest != first
	})
}

func (s *Set) names() string {
	var all []string
	for _, img := range s.Images {
		all = append(all, img.Names...)
	}
	return cmp.Or(strings.Join(all, ", "), "none with a name")
}

// OpenOptions configure Open. The zero value is right for this machine.
type OpenOptions struct {
	Platform string // of an image for several: "linux/arm64"; this machine's if empty
	Scratch  string // directory for files as large as an archive; that of os.TempDir if empty
	Limits   Limits
}

// Open opens the images of a source, which is a path as for OpenArchive, or a reference.
// The image of a reference is read from its registry with the user's docker credentials.
// A source is a path if it exists as a file or directory, or starts with "/", "./" or
// "../".
//
// Configurations and manifests have been read and checked when it returns,
// layers have not. The context must outlive the images of a registry.
func Open(ctx context.Context, source string, opts OpenOptions) (*Set, error) {
	open := OpenArchive
	_, err := os.Stat(source)
	if !isPath(source) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)) {
		open = openRemote
	}
	set, err := open(ctx, source, opts)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", source, err)
	}
	return set, nil
}

// OpenArchive opens the images in a directory with an OCI image layout, or in a
// file that is an archive of such a layout or was written by "docker save", plain
// or compressed with gzip or zstd. Images for other platforms, and artifacts that
// are no images, are passed over.
func OpenArchive(ctx context.Context, name string, opts OpenOptions) (*Set, error) {
	opts.Limits = opts.Limits.withDefaults()
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := rootfs.Open(name)
		if err != nil {
			return nil, err
		}
		return readStore(ctx, dirStore{root}, opts)
	}
	archive, err := openArchive(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	return readStore(ctx, archive, opts)
}

// ReadArchive is OpenArchive for an archive that comes as a stream. If r is a
// regular file it is read in place, and closed with the set.
func ReadArchive(ctx context.Context, r io.Reader, opts OpenOptions) (*Set, error) {
	opts.Limits = opts.Limits.withDefaults()
	archive, err := readArchive(ctx, r, opts)
	if err != nil {
		return nil, err
	}
	return readStore(ctx, archive, opts)
}

// readStore detects the layout of a store and reads it. It takes ownership of s.
func readStore(ctx context.Context, s store, opts OpenOptions) (*Set, error) {
	images, err := imagesIn(ctx, s, opts)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Set{Images: images, closer: s}, nil
}

func imagesIn(ctx context.Context, s store, opts OpenOptions) ([]Image, error) {
	platform, err := parsePlatform(opts.Platform)
	if err != nil {
		return nil, err
	}
	l := newLayout(s, platforms.Only(platform))
	images, err := l.read(ctx)
	if errors.Is(err, errNoLayout) {
		images, err = l.readDocker(ctx)
	}
	if err == nil && len(images) == 0 {
		err = l.noImage(platform)
	}
	return images, err
}

func parsePlatform(s string) (ocispec.Platform, error) {
	if s == "" {
		return platforms.DefaultSpec(), nil
	}
	return platforms.Parse(s)
}

func isPath(source string) bool {
	return strings.HasPrefix(source, "/") || strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../")
}

func openRemote(ctx context.Context, source string, opts OpenOptions) (*Set, error) {
	platform, err := v1.ParsePlatform(cmp.Or(opts.Platform, "linux/"+runtime.GOARCH))
	if err != nil {
		return nil, err
	}
	ref, err := ParseReference(source)
	if err != nil {
		return nil, err
	}
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(at, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(*platform))
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if manifest.Config.Size > maxDocument {
		return nil, fmt.Errorf("configuration: %w", &LimitError{Limit: "bytes of a document", Value: maxDocument})
	}
	if _, err := img.ConfigFile(); err != nil {
		return nil, err
	}
	return &Set{Images: []Image{{Image: img, Names: []string{ref.Name()}}}}, nil
}
