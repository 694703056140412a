package pod

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// An Image is an image in the runtime's store.
type Image = containerd.Image

// LoadOptions configures LoadSource.
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
