package appimage

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func TestImagesShareTheirBase(t *testing.T) {
	nginx := open(t, "nginx-container")
	redis := open(t, "redis")
	for name, img := range map[string]v1.Image{"nginx-container": nginx, "redis": redis} {
		// The validator checks the content of compressed layers only.
		if err := errors.Join(validate.Image(img, validate.Fast), checkLayers(img)); err != nil {
			t.Errorf("%s is no valid image: %v", name, err)
		}
	}
	a, b := diffIDs(t, nginx), diffIDs(t, redis)
	if len(a) != 2 || len(b) != 2 || a[0] != b[0] || a[1] == b[1] {
		t.Errorf("layers are %v and %v, want the first the same and the second its own", a, b)
	}
	f, err := nginx.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"nginx", "-g", "daemon off;"}, f.Config.Cmd); d != "" {
		t.Errorf("command (-want +got):\n%s", d)
	}
}

// checkLayers compares the content of an image's layers with the digests in its
// manifest and configuration.
func checkLayers(img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	f, err := img.ConfigFile()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for i, l := range layers {
		content, err := l.Compressed()
		if err != nil {
			return err
		}
		digest, size, err := v1.SHA256(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
		if d := m.Layers[i]; digest != d.Digest || digest != f.RootFS.DiffIDs[i] || size != d.Size {
			return fmt.Errorf("layer %d is %s of %d bytes, the manifest has %s of %d, the configuration %s", i, digest, size, d.Digest, d.Size, f.RootFS.DiffIDs[i])
		}
	}
	return nil
}

func TestBuildNamesWhatThereIs(t *testing.T) {
	_, err := Build(t.Context(), "nginx")
	if err == nil || !strings.Contains(err.Error(), "nginx-debian") {
		t.Errorf("error is %v, want the known names in it", err)
	}
}

func TestFailedInstallationTellsWhyAndLeavesNoMount(t *testing.T) {
	dir, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	b, err := prepareBase(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	err = install(t.Context(), b, filepath.Join(dir, "apt"), work, App{Setup: "echo the reason >&2; exit 7"})
	if err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("error is %v, want what the command said", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), work) {
		t.Errorf("a mount is left below %s", work)
	}
}

func TestLockIsHeldByOneAndWaitsNoLongerThanItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("a second lock: %v, want that it was cancelled", err)
	}
	unlock()
	again, err := lock(t.Context(), path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
}

// open builds an image and reads its archive with a library of another project.
func open(t *testing.T, name string) v1.Image {
	t.Helper()
	path, err := Build(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, path, dir)
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Manifests[0].Annotations["io.containerd.image.name"]; got != Reference(name) {
		t.Errorf("image is named %q, want %q", got, Reference(name))
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err == nil && h.Typeflag == tar.TypeDir {
			err = root.MkdirAll(filepath.Clean(h.Name), 0o755)
		} else if err == nil {
			var data []byte
			if data, err = io.ReadAll(r); err == nil {
				err = root.WriteFile(h.Name, data, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func diffIDs(t *testing.T, img v1.Image) []string {
	t.Helper()
	f, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range f.RootFS.DiffIDs {
		all = append(all, id.String())
	}
	return all
}
