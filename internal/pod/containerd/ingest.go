package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/pkg/rootfs"
	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// store writes an image's blobs, unpacks its layers and checks it, all at the
// same time.
func (d *Daemon) store(ctx context.Context, p image.Image, o ImportOptions, progress *progress) error {
	check := o.Check
	if check == nil {
		check = flatten(d.snapshotter)
	}
	layers := p.Stored.Manifest.Layers
	written := make([]chan struct{}, len(layers))
	for i := range written {
		written[i] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for i, l := range layers {
			if err := d.writeBlob(ctx, p.Stored, l); err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
			progress.add(l.Size)
			close(written[i])
		}
		return d.writeDocuments(ctx, documentsOf(p.Stored))
	})
	group.Go(func() error { return d.unpack(ctx, p.Stored, written) })
	group.Go(func() error { return check(ctx, p.Image) })
	return group.Wait()
}

// writeBlob writes a layer. The content store refuses to commit what has not
// the digest it is announced by.
func (d *Daemon) writeBlob(ctx context.Context, s *image.Stored, layer v1.Descriptor) error {
	b, err := s.OpenLayer(layer)
	if err != nil {
		return err
	}
	defer b.Close()
	return d.writeContent(ctx, b.Reader(), ociDescriptor(layer), nil)
}

// ociDescriptor is a descriptor of go-containerregistry as containerd has it.
func ociDescriptor(d v1.Descriptor) ocispec.Descriptor {
	o := ocispec.Descriptor{MediaType: string(d.MediaType), Digest: digest.Digest(d.Digest.String()), Size: d.Size, URLs: d.URLs, Annotations: d.Annotations}
	if p := d.Platform; p != nil {
		o.Platform = &ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures}
	}
	return o
}

// An ingester writes content. containerd's own returns "unavailable" both while
// another client writes the same blob and when the runtime has ended, and
// content.WriteBlob retries as long as it does: for ever in the second case. This
// one returns another error then.
type ingester struct{ d *Daemon }

func (i ingester) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	w, err := i.d.client.ContentStore().Writer(ctx, opts...)
	if !errdefs.IsUnavailable(err) {
		return w, err
	}
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	if _, dead := i.d.cri.Version(ctx, &runtimeapi.VersionRequest{}); dead != nil {
		return nil, fmt.Errorf("write content: %w", dead)
	}
	return nil, err
}

func (d *Daemon) writeContent(ctx context.Context, r io.Reader, desc ocispec.Descriptor, labels map[string]string) error {
	store := d.client.ContentStore()
	ref := "adamant-" + desc.Digest.String()
	err := content.WriteBlob(ctx, ingester{d}, ref, r, ocispec.Descriptor{Digest: desc.Digest, Size: desc.Size}, content.WithLabels(labels))
	if err == nil || errdefs.IsAlreadyExists(err) {
		return nil
	}
	// What was written so far would be the beginning of the next attempt.
	aborted := store.Abort(context.WithoutCancel(ctx), ref)
	if errdefs.IsNotFound(aborted) {
		aborted = nil
	}
	return errors.Join(fmt.Errorf("blob %s: %w", desc.Digest, err), aborted)
}

// A document is a small blob with what it refers to.
type document struct {
	ocispec.Descriptor
	raw  []byte
	refs []digest.Digest
}

func documentsOf(s *image.Stored) []document {
	var all []document
	for _, doc := range s.Documents {
		var refs []digest.Digest
		for _, ref := range doc.Refs {
			refs = append(refs, digest.Digest(ref.String()))
		}
		all = append(all, document{ociDescriptor(doc.Descriptor), doc.Raw, refs})
	}
	return all
}

// writeDocuments writes each document after those that it refers to. The labels
// keep them from the garbage collector.
func (d *Daemon) writeDocuments(ctx context.Context, documents []document) error {
	for _, doc := range documents {
		labels := map[string]string{}
		var fields []string
		for i, ref := range doc.refs {
			key := fmt.Sprintf("containerd.io/gc.ref.content.%d", i)
			labels[key] = ref.String()
			fields = append(fields, "labels."+key)
		}
		if err := d.writeContent(ctx, bytes.NewReader(doc.raw), doc.Descriptor, labels); err != nil {
			return err
		}
		if len(fields) == 0 {
			continue
		}
		// One that was there already may be from an attempt that failed.
		if _, err := d.client.ContentStore().Update(ctx, content.Info{Digest: doc.Digest, Labels: labels}, fields...); err != nil {
			return fmt.Errorf("label %s: %w", doc.Digest, err)
		}
	}
	return nil
}

// unpack makes a snapshot of each layer. The daemon can do so as soon as it
// has it; we read it where it is. That the archive in a layer has the digest
// that the configuration names is verified by ApplyLayer.
func (d *Daemon) unpack(ctx context.Context, s *image.Stored, written []chan struct{}) error {
	snapshotter := d.client.SnapshotService(d.snapshotter)
	var chain []digest.Digest
	for i, l := range s.Manifest.Layers {
		if !d.private {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-written[i]:
			}
		}
		diffID := digest.Digest(s.DiffIDs[i].String())
		unpacked := rootfs.Layer{
			Blob: ociDescriptor(l),
			Diff: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID},
		}
		if _, err := rootfs.ApplyLayer(ctx, unpacked, chain, snapshotter, d.applier(s)); err != nil {
			return fmt.Errorf("layer %d (%s): %w", i, l.Digest, err)
		}
		chain = append(chain, diffID)
	}
	return nil
}

// applier is the daemon's own where it may see other files than we do, or
// keeps snapshots in other ways than in directories.
func (d *Daemon) applier(s *image.Stored) diff.Applier {
	if !d.private {
		return d.client.DiffService()
	}
	return applier{s}
}
