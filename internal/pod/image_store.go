package pod

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// An Image is an image in the runtime's store.
type Image = containerd.Image

// LoadOptions configures LoadImages.
type LoadOptions = containerd.ImportOptions

// ErrNoImage is returned when the store has no image of a name.
var ErrNoImage = containerd.ErrNoImage

// Image finds an image by name, by its ID, or by "name@digest". It fails with
// ErrNoImage if there is none.
func (e *Engine) Image(ctx context.Context, ref string) (Image, error) {
	return e.daemon.Image(ctx, ref)
}

// Images lists all images except those that Adamant makes for itself. Like all
// methods below it needs a runtime that is containerd.
func (e *Engine) Images(ctx context.Context) ([]Image, error) { return e.daemon.Images(ctx) }

// OpenImage returns an image whose layers are read from the store, and verified
// as they are read. It can be used until ctx ends or e is closed.
func (e *Engine) OpenImage(ctx context.Context, ref string) (v1.Image, error) {
	return e.daemon.OpenImage(ctx, ref)
}

// LoadImages loads all images for this machine from an OCI layout (a directory
// or an archive) or a docker archive, which may be compressed with gzip or zstd.
// On an error none of them is left.
func (e *Engine) LoadImages(ctx context.Context, path string, o LoadOptions) ([]Image, error) {
	return e.daemon.Import(ctx, path, o)
}

// LoadImagesFrom is LoadImages for an archive that is read from a stream.
func (e *Engine) LoadImagesFrom(ctx context.Context, r io.Reader, o LoadOptions) ([]Image, error) {
	return e.daemon.ImportReader(ctx, r, o)
}

// PullImage pulls an image from its registry.
func (e *Engine) PullImage(ctx context.Context, ref string) (Image, error) {
	return e.daemon.Pull(ctx, ref)
}

// TagImage gives an image another name.
func (e *Engine) TagImage(ctx context.Context, ref, name string) (Image, error) {
	return e.daemon.Tag(ctx, ref, name)
}

// RemoveImage removes a name of an image, or an image that has no name.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	return e.daemon.RemoveImage(ctx, ref)
}

// MountImage mounts the file system of an image read-only on target, until
// UnmountImage.
func (e *Engine) MountImage(ctx context.Context, ref, target string) error {
	return e.daemon.Mount(ctx, ref, target)
}

// UnmountImage undoes MountImage. It is no error if nothing is mounted.
func (e *Engine) UnmountImage(ctx context.Context, target string) error {
	return e.daemon.Unmount(ctx, target)
}

// HasStore reports whether a root has a store of images that this user can read.
func HasStore(root string) bool {
	_, err := os.Stat(filepath.Join(root, "containerd"))
	return os.Geteuid() == 0 && !errors.Is(err, fs.ErrNotExist)
}
