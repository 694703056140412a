// Package appimage builds images of common server programs from the machine's
// Debian or Ubuntu packages, so that tests and the demo run real applications
// without a registry.
//
// An image has one base layer, which all images share, and one layer of its
// own. Both are built once and kept in the cache directory until their recipe
// changes. Building needs root, mmdebstrap and the machine's package sources.
package appimage

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed install.sh
var installScript []byte

// Reference returns the name under which an archive of Build loads.
func Reference(name string) string { return "adamant.test/" + name + ":1" }

// Build returns the path of an OCI archive with the application's image. It
// builds the image first if the recipe changed since the last time. Several
// processes may call it at the same time: one builds, the others wait. The
// archive is shared and must not be modified.
func Build(ctx context.Context, name string) (string, error) {
	app, err := Lookup(name)
	if err != nil {
		return "", err
	}
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
		return "", fmt.Errorf("base system for images: %w", err)
	}
	path, err := buildApp(ctx, dir, b, app)
	if err != nil {
		return "", fmt.Errorf("build image %s: %w", name, err)
	}
	return path, nil
}

// buildApp builds the application's archive unless it is in the cache, and
// removes the archives of earlier recipes.
func buildApp(ctx context.Context, dir string, b base, app App) (string, error) {
	return cached(ctx, dir, app.Name, ".tar", b, app, func(work, archive string) error {
		top, err := writeLayer(filepath.Join(work, "upper"), b.root, filepath.Join(work, "layer"))
		if err != nil {
			return fmt.Errorf("write layer: %w", err)
		}
		return writeArchive(archive, app, b.layer, top)
	})
}

// cached returns the file that finish creates from an installed application,
// unless it is in the cache. The file is in dir and has the suffix. Files of
// earlier recipes are removed. finish gets a work directory that contains
// "upper", and the path to create.
func cached(ctx context.Context, dir, name, suffix string, b base, app App, finish func(work, path string) error) (string, error) {
	recipe, err := json.Marshal(app)
	if err != nil {
		return "", err
	}
	own := filepath.Join(dir, name)
	done := filepath.Join(own, key([]byte(b.key), recipe, installScript)+suffix)
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
	return done, finish(work, done)
}

// cacheDir returns .cache/images in the repository that contains the working
// directory, or the directory in ADAMANT_CACHE.
func cacheDir() (string, error) {
	root := os.Getenv("ADAMANT_CACHE")
	if root == "" {
		repo, err := repository()
		if err != nil {
			return "", err
		}
		root = filepath.Join(repo, ".cache")
	}
	dir := filepath.Join(root, "images")
	return dir, os.MkdirAll(dir, 0o755)
}

// repository returns the directory with go.mod above the working directory. go
// test runs in the directory of the package.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s; set ADAMANT_CACHE to a directory for images", dir)
		}
	}
}

// key returns a short digest of the parts. Different lists of parts have
// different keys.
func key(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		// The length separates the parts, so that no two lists of parts are
		// hashed alike.
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
