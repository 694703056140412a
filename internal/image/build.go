package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// New returns an image for this machine's architecture of a configuration and
// layers, the lowest first. Equal input gives an equal digest.
func New(config Config, layers ...v1.Layer) (v1.Image, error) {
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	img, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: cmp.Or(config.Architecture, runtime.GOARCH), Config: config.oci(), RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, fmt.Errorf("build image: %w", err)
	}
	return Append(img, layers...)
}

// Append returns an image with more layers on top.
func Append(img v1.Image, layers ...v1.Layer) (v1.Image, error) {
	additions := make([]mutate.Addendum, len(layers))
	for i, l := range layers {
		additions[i] = mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "adamant"}}
	}
	img, err := mutate.Append(img, additions...)
	if err != nil {
		return nil, fmt.Errorf("build image: %w", err)
	}
	return img, nil
}

// A File is an entry of a layer to be built.
type File struct {
	tree.Entry        // Size and Digest follow from Content; Link makes it a hard link, unless it is its own path
	Content    []byte // of a regular file
}

// Files describes regular files of root with mode 0644 by path and content.
func Files(contents map[string]string) []File {
	files := make([]File, 0, len(contents))
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		files = append(files, File{
			Entry:   tree.Entry{Path: name, Kind: tree.Regular, Mode: 0o644},
			Content: []byte(contents[name]),
		})
	}
	return files
}

// NewLayer returns an uncompressed layer with files in the given order. A path
// like "/etc/.wh.motd" makes a whiteout.
func NewLayer(files ...File) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		h := Header(f.Entry)
		h.Size = int64(len(f.Content))
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("build layer: %s: %w", f.Path, err)
		}
		if _, err := w.Write(f.Content); err != nil {
			return nil, fmt.Errorf("build layer: %s: %w", f.Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("build layer: %w", err)
	}
	return LayerFromBytes(archive.Bytes()), nil
}

// Header describes an entry in PAX format. The caller sets the size.
func Header(e tree.Entry) *tar.Header {
	h := rootfs.Header(e, e.Path[1:])
	if e.Link != "" && e.Link != e.Path {
		h.Typeflag, h.Linkname = tar.TypeLink, e.Link[1:]
	}
	return h
}

// LayerFromBytes returns the layer whose archive is given: a tar archive,
// which may be compressed with gzip or zstd.
func LayerFromBytes(archive []byte) v1.Layer {
	switch compressionOf(archive) {
	case Gzip:
		return compressedLayer{static.NewLayer(archive, types.OCILayer), archive}
	case Zstd:
		return compressedLayer{static.NewLayer(archive, types.OCILayerZStd), archive}
	}
	return static.NewLayer(archive, types.OCIUncompressedLayer)
}

// compressedLayer computes the digest of its decompressed content. A static layer
// returns that of the compressed content.
type compressedLayer struct {
	v1.Layer
	archive []byte
}

func (l compressedLayer) Uncompressed() (io.ReadCloser, error) {
	plain, _, err := decompress(bytes.NewReader(l.archive))
	return plain, err
}

func (l compressedLayer) DiffID() (v1.Hash, error) {
	plain, err := l.Uncompressed()
	if err != nil {
		return v1.Hash{}, err
	}
	defer plain.Close()
	sum, _, err := v1.SHA256(plain)
	return sum, err
}

// layerFromFile returns the layer of an uncompressed tar file. The file is read once
// now and again on each use. It must not change; a change is found by its digest.
func layerFromFile(path string) (v1.Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("build layer: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return nil, fmt.Errorf("build layer: read %s: %w", path, err)
	}
	return fileLayer{path: path, digest: hashOf(sum), size: size}, nil
}

// fileLayer is an uncompressed layer in a file.
type fileLayer struct {
	path   string
	digest v1.Hash
	size   int64
}

func (l fileLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l fileLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l fileLayer) Size() (int64, error)                 { return l.size, nil }
func (l fileLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
func (l fileLayer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }
func (l fileLayer) Compressed() (io.ReadCloser, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	checked, err := verify(f, "layer", l.digest, l.size)
	if err != nil {
		f.Close()
		return nil, err
	}
	return readCloser{checked, f}, nil
}

// readCloser reads from one and closes the other.
type readCloser struct {
	io.Reader
	io.Closer
}

// BuildArchive writes an image of uncompressed layers in files, the lowest first, like
// WriteArchive, and returns its digest.
func BuildArchive(ctx context.Context, path, name string, config Config, layerFiles ...string) (digest string, err error) {
	layers := make([]v1.Layer, len(layerFiles))
	for i, file := range layerFiles {
		if layers[i], err = layerFromFile(file); err != nil {
			return "", err
		}
	}
	img, err := New(config, layers...)
	if err != nil {
		return "", err
	}
	sum, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("build image: %w", err)
	}
	return sum.String(), WriteArchive(ctx, path, map[string]v1.Image{name: img})
}
