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

// store writes the blobs of an image, unpacks its layers and checks it, all
// concurrently.
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
	var checkErr error
	checked := make(chan struct{})
	group.Go(func() error {
		defer close(checked)
		checkErr = check(ctx, p.Image)
		return checkErr
	})
	// The check names what is wrong with an image better than containerd's errors.
	reason := func(err error) error {
		if err == nil {
			return nil
		}
		<-checked
		if checkErr != nil && !errors.Is(checkErr, context.Canceled) {
			return checkErr
		}
		return err
	}
	group.Go(func() error {
		for i, l := range layers {
			if err := d.writeBlob(ctx, p.Stored, l); err != nil {
				return reason(fmt.Errorf("layer %d: %w", i, err))
			}
			progress.add(l.Size)
			close(written[i])
		}
		return d.writeDocuments(ctx, documentsOf(p.Stored))
	})
	group.Go(func() error { return reason(d.unpack(ctx, p.Stored, written)) })
	return group.Wait()
}

// writeBlob writes a layer. The content store refuses to commit content whose
// digest or size differs from the descriptor.
func (d *Daemon) writeBlob(ctx context.Context, s *image.Stored, layer v1.Descriptor) error {
	b, err := s.OpenLayer(layer)
	if err != nil {
		return err
	}
	defer b.Close()
	return d.writeContent(ctx, b.Reader(), ociDescriptor(layer), nil)
}

// ociDescriptor converts a descriptor of go-containerregistry.
func ociDescriptor(d v1.Descriptor) ocispec.Descriptor {
	o := ocispec.Descriptor{MediaType: string(d.MediaType), Digest: digest.Digest(d.Digest.String()), Size: d.Size, URLs: d.URLs, Annotations: d.Annotations}
	if p := d.Platform; p != nil {
		o.Platform = &ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures}
	}
	return o
}

// An ingester opens writers of the content store. The store's own ingester
// returns "unavailable" both while another client writes the same blob and when
// the runtime has ended, and content.WriteBlob retries on that error: forever in
// the second case. This one returns another error in the second case.
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
	// The store resumes a write under the same ref: the next attempt would
	// continue after the bytes written so far.
	aborted := store.Abort(context.WithoutCancel(ctx), ref)
	if errdefs.IsNotFound(aborted) {
		aborted = nil
	}
	return errors.Join(fmt.Errorf("blob %s: %w", desc.Digest, err), aborted)
}

// A document is a small blob and the digests that it refers to.
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

// writeDocuments writes documents, which are sorted so that each comes after
// those that it refers to. Its labels keep those from the garbage collector.
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
		// A blob that existed before may lack the labels: an earlier attempt
		// may have failed between the two calls.
		if _, err := d.client.ContentStore().Update(ctx, content.Info{Digest: doc.Digest, Labels: labels}, fields...); err != nil {
			return fmt.Errorf("label %s: %w", doc.Digest, err)
		}
	}
	return nil
}

// unpack creates a snapshot of each layer. ApplyLayer verifies that the
// uncompressed layer has the diff ID of the image's configuration.
func (d *Daemon) unpack(ctx context.Context, s *image.Stored, written []chan struct{}) error {
	snapshotter := d.client.SnapshotService(d.snapshotter)
	var chain []digest.Digest
	for i, l := range s.Manifest.Layers {
		// Another daemon applies the layer from its content store; a private
		// one's layers are read from the archive, see applier.
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

// applier returns the code that unpacks layers. A daemon that is not private
// unpacks itself: its mount namespace and its snapshotter may differ.
func (d *Daemon) applier(s *image.Stored) diff.Applier {
	if !d.private {
		return d.client.DiffService()
	}
	return applier{s}
}
