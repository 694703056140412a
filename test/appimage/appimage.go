// Package appimage builds images of ordinary server programs from the machine's
// own Debian or Ubuntu packages, so that tests and the demo run real
// applications although no registry can be reached.
//
// An image is one base layer, the same for all, and one layer of its own. Both
// are made once and kept in the cache directory until their recipe changes.
// Building needs root, mmdebstrap and the machine's package sources.
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

// Build returns the path of an OCI archive that holds the application's image,
// building it first if its recipe changed since the last time. Several
// processes may call it at once: one builds, the others wait. The archive is
// shared and must not be modified.
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

// buildApp makes the application's archive unless it is in the cache, and
// removes the archives that earlier recipes of it left there.
func buildApp(ctx context.Context, dir string, b base, app App) (string, error) {
	return cached(ctx, dir, app.Name, ".tar", b, app, func(work, archive string) error {
		top, err := writeLayer(filepath.Join(work, "upper"), b.root, filepath.Join(work, "layer"))
		if err != nil {
			return fmt.Errorf("write layer: %w", err)
		}
		return writeArchive(archive, app, b.layer, top)
	})
}

// cached returns what finish makes of an installed application, in a directory
// and with a suffix of its kind, unless it is in the cache. What earlier recipes
// left there is removed. finish is given a work directory that holds "upper", and
// the path to be made.
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

// cacheDir is .cache/images of the repository that the process runs in, or of
// the directory that ADAMANT_CACHE names.
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

// repository finds the directory of go.mod above the working directory; go test
// runs in the directory of the package.
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

// key is a short digest of the parts; no two lists of parts run together.
func key(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
