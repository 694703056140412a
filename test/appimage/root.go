package appimage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Root returns an installed application as the lower directories of an overlay,
// joined as mount(8) takes them: for tests that need a system's files and no
// image. It is installed first if its recipe changed since the last time, and
// several processes may call it at once. The directories are shared and must
// not be modified; nothing may be mounted over them either, so mount the overlay
// in a namespace of the test's own.
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
	upper, err := installRoot(ctx, dir, b, app)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", app.Name, err)
	}
	return upper + ":" + b.root, nil
}

// installRoot returns what the application adds to the base, and removes what
// earlier recipes of it left in the cache.
func installRoot(ctx context.Context, dir string, b base, app App) (string, error) {
	recipe, err := json.Marshal(app)
	if err != nil {
		return "", err
	}
	own := filepath.Join(dir, "root-"+app.Name)
	done := filepath.Join(own, key([]byte(b.key), recipe, installScript))
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if err := os.RemoveAll(own); err != nil {
		return "", err
	}
	work := filepath.Join(own, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := install(ctx, b, filepath.Join(dir, "apt"), work, app); err != nil {
		return "", err
	}
	return done, os.Rename(filepath.Join(work, "upper"), done)
}
