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
)

// store writes an image's blobs, unpacks its layers and checks it, all at the
// same time.
func (d *Daemon) store(ctx context.Context, p *packed, o ImportOptions, progress *progress) error {
	check := o.Check
	if check == nil {
		check = flatten(d.snapshotter)
	}
	written := make([]chan struct{}, len(p.layers))
	for i := range written {
		written[i] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for i, l := range p.layers {
			if err := d.writeBlob(ctx, l); err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
			progress.add(l.Size)
			close(written[i])
		}
		return d.writeDocuments(ctx, p.documents)
	})
	group.Go(func() error { return d.unpack(ctx, p, written) })
	group.Go(func() error {
		img, err := openImage(p)
		if err != nil {
			return err
		}
		return check(ctx, img)
	})
	return group.Wait()
}

// writeBlob writes a layer. The content store refuses to commit what has not
// the digest it is announced by.
func (d *Daemon) writeBlob(ctx context.Context, l layer) error {
	b, err := l.open()
	if err != nil {
		return err
	}
	defer b.close()
	return d.writeContent(ctx, b.reader(), l.Descriptor, nil)
}

// An ingester writes content. containerd's own says that it is unavailable both
// while somebody else writes the same and when the runtime ended, and whoever
// writes waits for as long as it says so: for ever, that is. This one says which.
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

// writeDocuments writes what refers to others after what it refers to. The
// labels keep those from the garbage collector.
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
func (d *Daemon) unpack(ctx context.Context, p *packed, written []chan struct{}) error {
	snapshotter := d.client.SnapshotService(d.snapshotter)
	var chain []digest.Digest
	for i, l := range p.layers {
		if !d.private {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-written[i]:
			}
		}
		diffID := p.config.RootFS.DiffIDs[i]
		unpacked := rootfs.Layer{
			Blob: l.Descriptor,
			Diff: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID},
		}
		if _, err := rootfs.ApplyLayer(ctx, unpacked, chain, snapshotter, d.applier(p)); err != nil {
			return fmt.Errorf("layer %d (%s): %w", i, l.Digest, err)
		}
		chain = append(chain, diffID)
	}
	return nil
}

// applier is the daemon's own where it may see other files than we do, or
// keeps snapshots in other ways than in directories.
func (d *Daemon) applier(p *packed) diff.Applier {
	if !d.private {
		return d.client.DiffService()
	}
	a := applier{map[digest.Digest]layer{}}
	for _, l := range p.layers {
		a.layers[l.Digest] = l
	}
	return a
}

// openImage shows an image that is still in its archive.
func openImage(p *packed) (v1.Image, error) {
	core := &blobImage{manifest: p.manifest, layers: map[digest.Digest]func() (blob, error){}}
	for _, doc := range p.documents {
		switch doc.Digest {
		case p.manifest.Config.Digest:
			core.rawConfig = doc.raw
		default:
			if core.rawManifest == nil {
				core.rawManifest, core.descriptor = doc.raw, doc.Descriptor
			}
		}
	}
	for _, l := range p.layers {
		core.layers[l.Digest] = l.open
	}
	return core.image()
}
