package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// WriteArchive writes images as one archive of an OCI image layout, which Open,
// containerd, podman and docker from version 25 on read. The keys are their
// names, as ParseReference reads them. The file appears complete or not at all.
func WriteArchive(ctx context.Context, path string, images map[string]v1.Image) error {
	err := durable.Write(path, 0o644, func(w io.Writer) error { return writeLayout(ctx, w, images) })
	if err != nil {
		return fmt.Errorf("write image archive %s: %w", path, err)
	}
	return nil
}

// writeLayout writes images as an archive of an OCI image layout to a stream,
// for instance to a runtime that imports it.
func writeLayout(ctx context.Context, w io.Writer, images map[string]v1.Image) error {
	out := layoutWriter{ctx: ctx, tar: tar.NewWriter(w), written: map[v1.Hash]bool{}}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		desc, err := out.image(images[name])
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		ref, err := ParseReference(name)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, named(desc, ref))
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return out.end(raw)
}

// named returns a descriptor with the name of its image.
func named(desc v1.Descriptor, ref Reference) v1.Descriptor {
	desc.Annotations = map[string]string{nameAnnotation: ref.Name()}
	if ref.Tag != "" {
		desc.Annotations[refNameAnnotation] = ref.Tag
	}
	return desc
}

// end writes the index of the layout and ends the archive.
func (w *layoutWriter) end(index []byte) error {
	if err := w.file("index.json", int64(len(index)), bytes.NewReader(index)); err != nil {
		return err
	}
	const version = `{"imageLayoutVersion":"1.0.0"}`
	if err := w.file("oci-layout", int64(len(version)), bytes.NewReader([]byte(version))); err != nil {
		return err
	}
	return w.tar.Close()
}

type layoutWriter struct {
	ctx     context.Context
	tar     *tar.Writer
	written map[v1.Hash]bool
}

// image writes the blobs of an image and describes its manifest.
func (w *layoutWriter) image(img v1.Image) (v1.Descriptor, error) {
	layers, err := img.Layers()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, layer := range layers {
		if err := w.layer(layer); err != nil {
			return v1.Descriptor{}, err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := w.document(config); err != nil {
		return v1.Descriptor{}, err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := w.document(manifest); err != nil {
		return v1.Descriptor{}, err
	}
	desc, err := partial.Descriptor(img)
	if err != nil {
		return v1.Descriptor{}, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return v1.Descriptor{}, err
	}
	desc.Platform = file.Platform()
	return *desc, nil
}

func (w *layoutWriter) layer(layer v1.Layer) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return fmt.Errorf("layer %s: %w", digest, err)
	}
	blob, err := layer.Compressed()
	if err != nil {
		return fmt.Errorf("layer %s: %w", digest, err)
	}
	defer blob.Close()
	return w.blob(digest, size, blob)
}

func (w *layoutWriter) document(raw []byte) error {
	digest, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return w.blob(digest, size, bytes.NewReader(raw))
}

func (w *layoutWriter) blob(digest v1.Hash, size int64, content io.Reader) error {
	if w.written[digest] {
		return nil
	}
	w.written[digest] = true
	checked, err := verify(content, "blob", digest, size)
	if err != nil {
		return err
	}
	return w.file("blobs/"+digest.Algorithm+"/"+digest.Hex, size, checked)
}

func (w *layoutWriter) file(name string, size int64, content io.Reader) error {
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.Copy(w.tar, rootfs.ContextReader(w.ctx, content)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
