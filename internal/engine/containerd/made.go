package containerd

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A made image has one layer with one program, and is written by us.
type made struct {
	name    string
	program string // path in the image
	labels  map[string]string
	open    func() (io.ReadCloser, int64, error) // the program's content and size
}

// ensurePause makes the image of the pause program where it is not there.
func (d *Daemon) ensurePause(ctx context.Context) error {
	elf, err := pauseELF(runtime.GOARCH)
	if err != nil {
		return err
	}
	const label = "adamant.sh/program"
	want := digest.FromBytes(elf).String()
	old, err := d.client.ImageService().Get(ctx, PauseImage)
	if err == nil && old.Labels[label] == want {
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("look for the pause image: %w", err)
	}
	return d.make(ctx, made{
		name: PauseImage, program: "pause",
		labels: map[string]string{label: want, "io.cri-containerd.pinned": "pinned"},
		open: func() (io.ReadCloser, int64, error) {
			return io.NopCloser(bytes.NewReader(elf)), int64(len(elf)), nil
		},
	})
}

// make writes the image's blobs, unpacks it and gives it its name, or leaves
// nothing that the garbage collector would not remove.
func (d *Daemon) make(ctx context.Context, m made) error {
	ctx, done, err := d.client.WithLease(ctx)
	if err != nil {
		return fmt.Errorf("make image %s: %w", m.name, err)
	}
	defer done(context.WithoutCancel(ctx))
	manifest, err := d.writeMade(ctx, m)
	if err != nil {
		return fmt.Errorf("make image %s: %w", m.name, err)
	}
	return d.name(ctx, images.Image{Name: m.name, Target: manifest, Labels: m.labels})
}

func (d *Daemon) writeMade(ctx context.Context, m made) (ocispec.Descriptor, error) {
	layer, err := d.writeLayer(ctx, m)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + m.program}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	}
	configDesc, err := d.writeJSON(ctx, ocispec.MediaTypeImageConfig, config, nil)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: configDesc, Layers: []ocispec.Descriptor{layer},
	}
	return d.writeJSON(ctx, ocispec.MediaTypeImageManifest, manifest, map[string]string{
		"containerd.io/gc.ref.content.config": configDesc.Digest.String(),
		"containerd.io/gc.ref.content.l.0":    layer.Digest.String(),
	})
}

func (d *Daemon) writeJSON(ctx context.Context, mediaType string, v any, labels map[string]string) (ocispec.Descriptor, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	return desc, content.WriteBlob(ctx, d.client.ContentStore(), "adamant-"+desc.Digest.String(), bytes.NewReader(raw), desc, content.WithLabels(labels))
}

// writeLayer writes an uncompressed layer that holds the program alone. The
// same program gives the same layer.
func (d *Daemon) writeLayer(ctx context.Context, m made) (ocispec.Descriptor, error) {
	program, size, err := m.open()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer program.Close()
	ref := "adamant-layer-" + m.name
	w, err := content.OpenWriter(ctx, d.client.ContentStore(), content.WithRef(ref))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer w.Close()
	if err := w.Truncate(0); err != nil { // of a run that was ended
		return ocispec.Descriptor{}, err
	}
	count := &counter{w: w}
	layer := tar.NewWriter(count)
	err = layer.WriteHeader(&tar.Header{Name: m.program, Mode: 0o755, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := io.Copy(layer, program); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := layer.Close(); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: w.Digest(), Size: count.n}
	if err := w.Commit(ctx, desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return ocispec.Descriptor{}, err
	}
	return desc, nil
}

// name makes an image whose blobs are in the store known under its name: it
// is unpacked first, so that a name always means an image that can be run.
func (d *Daemon) name(ctx context.Context, i images.Image) error {
	if i.Labels == nil {
		i.Labels = map[string]string{}
	}
	i.Labels["io.cri-containerd.image"] = "managed" // CRI lists no others
	if err := client.NewImage(d.client, i).Unpack(ctx, d.snapshotter); err != nil {
		return fmt.Errorf("unpack image %s: %w", i.Name, err)
	}
	store := d.client.ImageService()
	_, err := store.Create(ctx, i)
	if errdefs.IsAlreadyExists(err) {
		_, err = store.Update(ctx, i)
	}
	if err != nil {
		return fmt.Errorf("name image %s: %w", i.Name, err)
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
