package containerd

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A builtImage is an image of one layer with one program, which this package
// builds itself.
type builtImage struct {
	name    string
	program string // path in the image
	version string // of the program; the image is built again if it changes
	labels  map[string]string
	open    func() (io.ReadCloser, int64, error) // the program's content and size
}

// programLabel is the label with the version of the program in a built image.
const programLabel = "adamant.sh/program"

// ensurePause builds PauseImage unless the store has it with the same program.
func (d *Daemon) ensurePause(ctx context.Context) error {
	elf, err := pauseELF(runtime.GOARCH)
	if err != nil {
		return err
	}
	return d.ensureBuilt(ctx, builtImage{
		name: PauseImage, program: "pause", version: digest.FromBytes(elf).String(),
		labels: map[string]string{"io.cri-containerd.pinned": "pinned"},
		open: func() (io.ReadCloser, int64, error) {
			return io.NopCloser(bytes.NewReader(elf)), int64(len(elf)), nil
		},
	})
}

// ensureBuilt builds an image unless the store has it with the same version.
func (d *Daemon) ensureBuilt(ctx context.Context, m builtImage) error {
	old, err := d.client.ImageService().Get(ctx, m.name)
	if err == nil && old.Labels[programLabel] == m.version {
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("make image %s: %w", m.name, err)
	}
	return d.buildImage(ctx, m)
}

// buildImage writes the blobs of an image, unpacks it and names it. After an
// error the garbage collector removes the blobs that were written.
func (d *Daemon) buildImage(ctx context.Context, m builtImage) (err error) {
	// The lease keeps the blobs from the garbage collector until the image has
	// its name.
	ctx, end, err := d.withLease(ctx)
	if err != nil {
		return fmt.Errorf("make image %s: %w", m.name, err)
	}
	defer func() { err = errors.Join(err, end(false)) }()
	manifest, config, err := d.writeImage(ctx, m)
	if err != nil {
		return fmt.Errorf("make image %s: %w", m.name, err)
	}
	labels := map[string]string{programLabel: m.version}
	maps.Copy(labels, m.labels)
	if _, err = d.publish(ctx, []string{m.name}, manifest, config, labels); err != nil {
		return err
	}
	return d.removeOldVersions(ctx, m.name, manifest.Digest)
}

// removeOldVersions removes the images that were built under a name before.
// Containers that were created from them keep running.
func (d *Daemon) removeOldVersions(ctx context.Context, name string, now digest.Digest) error {
	store := d.client.ImageService()
	repository := repositoryOf(name)
	all, err := store.List(ctx)
	if err != nil {
		return fmt.Errorf("make image %s: %w", name, err)
	}
	older := map[digest.Digest]bool{}
	for _, i := range all {
		if strings.HasPrefix(i.Name, repository+"@") && i.Target.Digest != now {
			older[i.Target.Digest] = true
		}
	}
	for _, i := range all {
		if !older[i.Target.Digest] {
			continue
		}
		if err := store.Delete(ctx, i.Name); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("remove image %s: %w", i.Name, err)
		}
	}
	return nil
}

func (d *Daemon) writeImage(ctx context.Context, m builtImage) (target ocispec.Descriptor, id digest.Digest, err error) {
	layer, err := d.writeLayer(ctx, m)
	if err != nil {
		return target, "", err
	}
	rawConfig, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + m.program}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	if err != nil {
		return target, "", err
	}
	config := describe(ocispec.MediaTypeImageConfig, rawConfig)
	rawManifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		return target, "", err
	}
	target = describe(ocispec.MediaTypeImageManifest, rawManifest)
	return target, config.Digest, d.writeDocuments(ctx, []document{
		{config, rawConfig, nil},
		{target, rawManifest, []digest.Digest{config.Digest, layer.Digest}},
	})
}

func describe(mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
}

// writeLayer writes an uncompressed layer that contains only the program. The
// layer is reproducible: its digest depends on the program alone.
func (d *Daemon) writeLayer(ctx context.Context, m builtImage) (ocispec.Descriptor, error) {
	program, size, err := m.open()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer program.Close()
	ref := "adamant-layer-" + m.name
	w, err := content.OpenWriter(ctx, ingester{d}, content.WithRef(ref))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer w.Close()
	// The store resumes a write under the same ref: drop the data of a process
	// that was killed.
	if err := w.Truncate(0); err != nil {
		return ocispec.Descriptor{}, err
	}
	buffered := bufio.NewWriterSize(w, 1<<20) // each write of w is a gRPC message
	count := &counter{w: buffered}
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
	if err := buffered.Flush(); err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: w.Digest(), Size: count.n}
	if err := w.Commit(ctx, desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
		return ocispec.Descriptor{}, err
	}
	return desc, nil
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
