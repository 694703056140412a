package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// pinLabel is on the name that pins an image, and tells whether Pin made the
// name or found it there.
const (
	pinLabel = "adamant.sh/pin"
	pinMade  = "made"
	pinFound = "found"
)

// ErrImagePinned says that something is to run from an image.
var ErrImagePinned = errors.New("image is pinned")

// Pin makes sure that an image stays in the store, whatever its names will mean
// later, and returns the reference by which it will be found: that of its
// repository with its digest, as Kubernetes writes it. Pins are not counted: to
// pin twice is to pin once.
func (d *Daemon) Pin(ctx context.Context, ref string) (Image, string, error) {
	target, err := d.resolve(ctx, ref)
	if err != nil {
		return Image{}, "", err
	}
	img, err := d.Image(ctx, ref)
	if err != nil {
		return Image{}, "", err
	}
	if img.Target != target.Digest {
		return Image{}, "", fmt.Errorf("pin image %s: it has just become another", ref)
	}
	name, err := pinName(img, ref)
	if err != nil {
		return Image{}, "", err
	}
	if err := d.pin(ctx, images.Image{Name: name, Target: target}); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", ref, err)
	}
	if err := d.waitSeen(ctx, name, img.ID); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", ref, err)
	}
	img, err = d.Image(ctx, name) // its content may have been removed before it was pinned
	return img, name, err
}

// pinName is the repository of ref, or of a name that an image found by its id
// has, with the image's digest; the id of one that has no name.
func pinName(img Image, ref string) (string, error) {
	if digest.Digest(ref).Validate() != nil {
		full, err := Normalize(ref)
		return repositoryOf(full) + "@" + img.Target.String(), err
	}
	if len(img.Names) > 0 {
		return repositoryOf(img.Names[0]) + "@" + img.Target.String(), nil
	}
	return img.ID.String(), nil
}

func (d *Daemon) pin(ctx context.Context, i images.Image) error {
	store := d.client.ImageService()
	i.Labels = map[string]string{"io.cri-containerd.image": "managed", pinLabel: pinMade}
	_, err := store.Create(ctx, i)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	old, err := store.Get(ctx, i.Name)
	if err != nil {
		return err
	}
	if old.Labels[pinLabel] != "" {
		return nil
	}
	old.Labels = maps.Clone(old.Labels)
	if old.Labels == nil {
		old.Labels = map[string]string{}
	}
	old.Labels[pinLabel] = pinFound
	_, err = store.Update(ctx, old, "labels")
	return err
}

// Unpin ends what Pin did, by the reference that it returned. The image stays
// for as long as a tag names it or a container uses it: of the versions that a
// tag had, none is left behind. That it is not pinned is no error.
func (d *Daemon) Unpin(ctx context.Context, reference string) error {
	if d.client == nil {
		return fmt.Errorf("unpin image %s: %w", reference, ErrNotContainerd)
	}
	img, err := d.Image(ctx, reference)
	if errors.Is(err, ErrNoImage) {
		return nil
	}
	if err == nil {
		err = d.unpin(ctx, reference)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("unpin image %s: %w", reference, err)
	}
	if len(img.Names) > 0 {
		return nil
	}
	err = d.RemoveImage(ctx, img.ID.String())
	if errors.Is(err, ErrNoImage) || errors.Is(err, ErrImageInUse) || errors.Is(err, ErrImagePinned) {
		return nil
	}
	return err
}

func (d *Daemon) unpin(ctx context.Context, name string) error {
	store := d.client.ImageService()
	old, err := store.Get(ctx, name)
	if err != nil {
		return err
	}
	switch old.Labels[pinLabel] {
	case pinMade:
		if err := store.Delete(ctx, name); err != nil {
			return err
		}
		return d.waitSeen(ctx, name, "")
	case pinFound:
		old.Labels = maps.Clone(old.Labels)
		delete(old.Labels, pinLabel)
		_, err = store.Update(ctx, old, "labels")
	}
	return err
}
