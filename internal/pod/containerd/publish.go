package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/image"
)

// publish unpacks an image whose blobs are in the store, gives it its names, its
// digests and its ID as names, as a pull through CRI does, and waits until CRI
// sees it. The image is unpacked first, so that every name refers to an image
// that can be run.
func (d *Daemon) publish(ctx context.Context, names []string, target ocispec.Descriptor, id digest.Digest, labels map[string]string) (Image, error) {
	all := append([]string{id.String()}, names...)
	for _, name := range names {
		all = append(all, repositoryOf(name)+"@"+target.Digest.String())
	}
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["io.cri-containerd.image"] = "managed" // CRI lists no others
	stored := client.NewImage(d.client, images.Image{Name: id.String(), Target: target})
	if err := stored.Unpack(ctx, d.snapshotter); err != nil {
		return Image{}, fmt.Errorf("unpack image %s: %w", id, err)
	}
	for _, name := range all {
		if err := d.setName(ctx, images.Image{Name: name, Target: target, Labels: labels}); err != nil {
			return Image{}, fmt.Errorf("name image %s: %w", name, err)
		}
	}
	// Another process may have removed the last image with the same layers, and
	// thus the snapshots, between the first Unpack and setName.
	if err := stored.Unpack(ctx, d.snapshotter); err != nil {
		return Image{}, fmt.Errorf("unpack image %s: %w", id, err)
	}
	for _, name := range all {
		if err := d.waitSeen(ctx, name, id); err != nil {
			return Image{}, fmt.Errorf("name image %s: %w", name, err)
		}
	}
	return d.Image(ctx, id.String())
}

func (d *Daemon) setName(ctx context.Context, i images.Image) error {
	store := d.client.ImageService()
	_, err := store.Create(ctx, i)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	if old, err := store.Get(ctx, i.Name); err == nil && old.Labels[pinLabel] != "" && old.Target.Digest == i.Target.Digest {
		labels := maps.Clone(old.Labels) // keep the holders of the pin
		maps.Copy(labels, i.Labels)
		labels[pinLabel] = pinFound // the last Unpin must not remove the name any more
		i.Labels = labels
	}
	_, err = store.Update(ctx, i)
	return err
}

// waitSeen waits until CRI resolves a name to an ID, or to no image if id is "".
// CRI has a cache, which it updates on events of the store.
func (d *Daemon) waitSeen(ctx context.Context, name string, id digest.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := d.cri.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: name}})
		if err != nil {
			return err
		}
		if resp.GetImage().GetId() == id.String() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("CRI does not see it: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// ErrImageInUse is returned when containers of an image exist.
var ErrImageInUse = errors.New("image is in use")

// RemoveImage removes a name of an image. With the last name, or if ref is its
// ID, it removes the image. The error is ErrImageInUse, and nothing is removed,
// if a container of CRI uses the image. A pinned image stays when its names are
// removed; by its ID the error is ErrImagePinned. The error is ErrNoImage if
// there is no such image.
func (d *Daemon) RemoveImage(ctx context.Context, ref string) error {
	img, err := d.Image(ctx, ref)
	if err != nil {
		return err
	}
	store := d.client.ImageService()
	if name, err := normalize(ref); err == nil && (len(img.Names) > 1 || img.Pinned) && digest.Digest(ref).Validate() != nil {
		for _, known := range img.Names {
			if known != name {
				continue
			}
			if err := store.Delete(ctx, name); err != nil {
				return fmt.Errorf("remove image %s: %w", ref, err)
			}
			return d.waitSeen(ctx, name, "")
		}
	}
	if err := d.CheckUnused(ctx, img); err != nil {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	_, err = d.cri.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: img.ID.String()}})
	return err
}

// CheckUnused returns ErrImagePinned if an image is pinned, and ErrImageInUse if a
// container of CRI uses it.
func (d *Daemon) CheckUnused(ctx context.Context, img Image) error {
	if img.Pinned {
		return ErrImagePinned
	}
	containers, err := d.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return err
	}
	for _, c := range containers.Containers {
		if c.ImageRef == img.ID.String() || c.GetImageId() == img.ID.String() {
			return fmt.Errorf("%w by container %s", ErrImageInUse, c.GetMetadata().GetName())
		}
	}
	return nil
}

// readManifest returns the manifest for this machine: target itself, or one in
// the index target.
func (d *Daemon) readManifest(ctx context.Context, target ocispec.Descriptor) (ocispec.Descriptor, ocispec.Manifest, error) {
	s := manifestSearch{store: d.client.ContentStore(), seen: map[digest.Digest]bool{}}
	return s.find(ctx, target, image.MaxNesting)
}

// errOtherImage is returned for an index without an image for this machine.
var errOtherImage = fmt.Errorf("no manifest for %s: %w", platforms.DefaultString(), errdefs.ErrNotFound)

// A manifestSearch looks for the manifest that a runtime chose in an index.
type manifestSearch struct {
	store interface {
		content.Provider
		content.InfoProvider
	}
	seen map[digest.Digest]bool // manifests and indexes that were found in an index
}

// find returns target or a manifest in it. An index may have others in it, to a depth. Blobs
// that the store does not have are passed over, because a runtime pulls only what it needs,
// and so are artifacts (a signature, an attestation), which may have no platform.
func (s manifestSearch) find(ctx context.Context, target ocispec.Descriptor, depth int) (ocispec.Descriptor, ocispec.Manifest, error) {
	raw, err := content.ReadBlob(ctx, s.store, target)
	if err != nil {
		return target, ocispec.Manifest{}, err
	}
	if images.IsManifestType(target.MediaType) {
		var m ocispec.Manifest
		err := json.Unmarshal(raw, &m)
		return target, m, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return target, ocispec.Manifest{}, err
	}
	if depth == 0 {
		return target, ocispec.Manifest{}, fmt.Errorf("more than %d indexes in one another", image.MaxNesting)
	}
	for _, d := range image.ByPreference(index.Manifests, func(d ocispec.Descriptor) *ocispec.Platform { return d.Platform }, platforms.Default()) {
		if d.Platform != nil && !platforms.Default().Match(*d.Platform) || s.seen[d.Digest] {
			continue
		}
		s.seen[d.Digest] = true
		if _, err := s.store.Info(ctx, d.Digest); err != nil {
			continue
		}
		found, m, err := s.find(ctx, d, depth-1)
		if errors.Is(err, errOtherImage) || err == nil && image.IsArtifact(m) {
			continue
		}
		return found, m, err
	}
	return target, ocispec.Manifest{}, errOtherImage
}

func (d *Daemon) readConfig(ctx context.Context, desc ocispec.Descriptor) (ocispec.Image, error) {
	raw, err := content.ReadBlob(ctx, d.client.ContentStore(), desc)
	if err != nil {
		return ocispec.Image{}, err
	}
	var config ocispec.Image
	err = json.Unmarshal(raw, &config)
	return config, err
}
