package appimage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Root returns an installed application as the lower directories of an overlay,
// joined as mount(8) expects them, for tests that need the files of a system
// and no image. It installs the application first if the recipe changed since
// the last time. Several processes may call it at the same time. The
// directories are shared and must not be modified, and nothing may be mounted
// over them, so a test must mount the overlay in its own namespace.
func Root(ctx context.Context, app App) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock the image cache: %w", err)
	}
	defer unlock()
	b, err := prepareBase(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("base system for %s: %w", app.Name, err)
	}
	upper, err := cached(ctx, dir, "root-"+app.Name, "", b, app, func(work, path string) error {
		return os.Rename(filepath.Join(work, "upper"), path)
	})
	if err != nil {
		return "", fmt.Errorf("install %s: %w", app.Name, err)
	}
	return upper + ":" + b.root, nil
}
