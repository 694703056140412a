package containerd

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// labelPinned is the label of an image name that somebody relies on.
const labelPinned = "adamant.sh/pinned"

// Pin makes sure that an image stays in the store, whatever becomes of its
// tags, and returns the reference with a digest by which it can be run.
func (d *Daemon) Pin(ctx context.Context, ref string) (Image, string, error) {
	img, err := d.Image(ctx, ref)
	if err != nil {
		return Image{}, "", err
	}
	target, err := d.resolve(ctx, ref)
	if err != nil {
		return Image{}, "", err
	}
	full, err := Normalize(ref)
	if err != nil {
		return Image{}, "", err
	}
	name := repositoryOf(full) + "@" + target.Digest.String()
	labels := map[string]string{"io.cri-containerd.image": "managed", labelPinned: "true"}
	if err := d.setName(ctx, images.Image{Name: name, Target: target, Labels: labels}); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", name, err)
	}
	if err := d.waitSeen(ctx, name, img.ID); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", name, err)
	}
	return img, name, nil
}

// Unpin lets go of an image that Pin returned. If no tag names it and no
// container uses it, it goes. That there is none is no error.
func (d *Daemon) Unpin(ctx context.Context, reference string) error {
	store := d.client.ImageService()
	old, err := store.Get(ctx, reference)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unpin image %s: %w", reference, err)
	}
	old.Labels = maps.Clone(old.Labels)
	delete(old.Labels, labelPinned)
	if _, err := store.Update(ctx, old); err != nil {
		return fmt.Errorf("unpin image %s: %w", reference, err)
	}
	img, err := d.Image(ctx, reference)
	if err != nil || len(img.Names) > 0 {
		return err
	}
	if isPinned, err := d.isPinned(ctx, img); err != nil || isPinned {
		return err
	}
	if inUse, err := d.userOf(ctx, img); err != nil || inUse != "" {
		return err
	}
	_, err = d.cri.RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: img.ID.String()}})
	return err
}

// isPinned reports whether a name of an image is pinned.
func (d *Daemon) isPinned(ctx context.Context, img Image) (bool, error) {
	all, err := d.client.ImageService().List(ctx, fmt.Sprintf("target.digest==%s", img.Target))
	if err != nil {
		return false, fmt.Errorf("image %s: %w", img.ID, err)
	}
	for _, i := range all {
		if i.Labels[labelPinned] != "" {
			return true, nil
		}
	}
	return false, nil
}

// userOf names a container of CRI that uses an image, if there is one.
func (d *Daemon) userOf(ctx context.Context, img Image) (string, error) {
	containers, err := d.cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return "", err
	}
	for _, c := range containers.Containers {
		if c.ImageRef == img.ID.String() || c.GetImageId() == img.ID.String() {
			return c.GetMetadata().GetName(), nil
		}
	}
	return "", nil
}
