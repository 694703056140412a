package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/adamant-sh/adamant/internal/image"
)

// The archive's size. Its content compresses to about a third, like programs
// and texts.
const (
	layers        = 8
	filesPerLayer = 1000
	fileSize      = 32 << 10
)

// writeArchive writes an OCI archive with gzip layers. It is the same each
// time.
func writeArchive(path string) error {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]v1.Layer, layers)
	for i := range all {
		var err error
		if all[i], err = makeLayer(random, i); err != nil {
			return err
		}
	}
	img, err := image.New(image.Config{}, all...)
	if err != nil {
		return err
	}
	dir := path + ".d"
	defer os.RemoveAll(dir)
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	name := map[string]string{"io.containerd.image.name": "example.com/bench:1"}
	if err := p.AppendImage(mutate.MediaType(img, "application/vnd.oci.image.manifest.v1+json"), layout.WithAnnotations(name)); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

func makeLayer(random *rand.Rand, index int) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := make([]byte, fileSize)
	for i := range filesPerLayer {
		for at := range content {
			content[at] = "etaoin shrdlu"[random.IntN(13)]
		}
		h := &tar.Header{Name: filepath.Join("srv", fmt.Sprint(index), fmt.Sprintf("file-%d", i)), Mode: 0o644, Size: fileSize}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	raw := b.Bytes()
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
		tarball.WithMediaType("application/vnd.oci.image.layer.v1.tar+gzip"))
}
