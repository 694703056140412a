package appimage

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Pack writes an OCI archive of an image whose only layer is the tree below
// root. It uses only the name and the configuration of the application.
func Pack(archive, root string, app App) error {
	dir, err := os.MkdirTemp(filepath.Dir(archive), "layer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := writeLayer(root, "", filepath.Join(dir, "layer"))
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return writeArchive(archive, app, l)
}

// writeArchive writes the application's image to an OCI archive: an image
// layout in a tar file.
func writeArchive(path string, app App, layers ...v1.Layer) error {
	img, err := newImage(app, layers)
	if err != nil {
		return fmt.Errorf("assemble image: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write image layout: %w", err)
	}
	names := map[string]string{
		"io.containerd.image.name":          Reference(app.Name),
		"org.opencontainers.image.ref.name": "1",
	}
	if err := l.AppendImage(img, layout.WithAnnotations(names)); err != nil {
		return fmt.Errorf("write image layout: %w", err)
	}
	return packDir(dir, path)
}

func newImage(app App, layers []v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	f, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	f = f.DeepCopy()
	f.OS, f.Architecture, f.Created = "linux", runtime.GOARCH, v1.Time{Time: newest}
	f.Config = v1.Config{
		User: app.User, Cmd: app.Cmd, WorkingDir: app.Dir, StopSignal: app.StopSignal,
		Env: append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, app.Env...),
	}
	if app.Port != 0 {
		f.Config.ExposedPorts = map[string]struct{}{strconv.Itoa(app.Port) + "/tcp": {}}
	}
	if app.Volume != "" {
		f.Config.Volumes = map[string]struct{}{app.Volume: {}}
	}
	return mutate.ConfigFile(img, f)
}

// packDir writes the files below dir to a tar file. The file is created
// completely or not at all.
func packDir(dir, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".archive-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	tw := tar.NewWriter(f)
	if err := tw.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	if err := tw.Close(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
