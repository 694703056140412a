package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// An Image is an image with its names. All that is read through it is checked
// against its digest and size before the end is seen.
type Image struct {
	v1.Image
	Names []string // in full, as Reference.Name; may be empty
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

// ErrNoImage says that a source does not have the image that is asked for.
var ErrNoImage = errors.New("no such image")

// Find returns the image with a name or digest. An empty reference means the
// only image that there is.
func (s *Set) Find(ref string) (Image, error) {
	if ref == "" {
		if len(s.Images) != 1 {
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

func (s *Set) names() string {
	var all []string
	for _, img := range s.Images {
		all = append(all, img.Names...)
	}
	return cmp.Or(strings.Join(all, ", "), "none with a name")
}

// OpenOptions say what to open. The zero value is right for this machine.
type OpenOptions struct {
	Platform string // of an image for several: "linux/arm64"; "linux" on this architecture if empty
	Limits   Limits
}

// Open opens the images of a source: a directory with an OCI image layout; a
// file that is an archive of such a layout or was written by "docker save",
// plain or compressed with gzip or zstd; or a reference, whose image is read
// from its registry with the user's docker credentials. What exists as a file
// or directory, or starts with "/", "./" or "../", is a path.
//
// Configurations and manifests have been read and checked when it returns,
// layers have not. The context must outlive the images of a registry.
func Open(ctx context.Context, source string, opts OpenOptions) (*Set, error) {
	set, err := open(ctx, source, opts)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", source, err)
	}
	return set, nil
}

func open(ctx context.Context, source string, opts OpenOptions) (*Set, error) {
	opts.Limits = opts.Limits.withDefaults()
	platform, err := v1.ParsePlatform(cmp.Or(opts.Platform, "linux/"+runtime.GOARCH))
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(source)
	switch {
	case err == nil && info.IsDir():
		root, err := rootfs.Open(source)
		if err != nil {
			return nil, err
		}
		return openStore(dirStore{root}, *platform)
	case err == nil:
		archive, err := openFile(ctx, source, opts.Limits)
		if err != nil {
			return nil, err
		}
		return openStore(archive, *platform)
	case isPath(source) || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid):
		return nil, err
	}
	return openRemote(ctx, source, *platform)
}

func isPath(source string) bool {
	return strings.HasPrefix(source, "/") || strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../")
}

// openStore finds out what sort of layout a store has. It takes ownership.
func openStore(s store, platform v1.Platform) (*Set, error) {
	images, err := readLayout(s, platform)
	if errors.Is(err, errNoLayout) {
		images, err = readDockerArchive(s)
	}
	if err == nil && len(images) == 0 {
		err = ErrNoImage
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Set{Images: images, closer: s}, nil
}

func openRemote(ctx context.Context, source string, platform v1.Platform) (*Set, error) {
	ref, err := ParseReference(source)
	if err != nil {
		return nil, err
	}
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(at, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platform))
	if err != nil {
		return nil, err
	}
	if _, err := img.ConfigFile(); err != nil {
		return nil, err
	}
	return &Set{Images: []Image{{Image: img, Names: []string{ref.Name()}}}}, nil
}
