package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// pinLabel is the label of a name that pins an image. Its value records whether
// Pin created the name or it existed before. Each holder of the pin has another
// label on the same name.
const (
	pinLabel     = "adamant.sh/pin"
	pinCreated   = "made"
	pinFound     = "found"
	holderPrefix = "adamant.sh/pinned-by."
	holds        = "yes"
)

// ErrImagePinned is returned when a pinned image is to be removed.
var ErrImagePinned = errors.New("image is pinned")

// Pin keeps an image in the store, even if its names refer to other images
// later. It returns the image and the reference by which it is found: its
// repository with its digest, as Kubernetes writes it. The pin lasts until each
// holder has called Unpin. Pinning twice for the same holder has no effect.
func (d *Daemon) Pin(ctx context.Context, holder, ref string) (Image, string, error) {
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
	if err := d.pin(ctx, holder, images.Image{Name: name, Target: target}); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", ref, err)
	}
	if err := d.waitSeen(ctx, name, img.ID); err != nil {
		return Image{}, "", fmt.Errorf("pin image %s: %w", ref, err)
	}
	// Read the image again: its content may have been removed before the pin.
	img, err = d.Image(ctx, name)
	return img, name, err
}

// pinName returns the name that pins an image: the repository of ref with the
// image's digest. If ref is an ID, it is the repository of one of the image's
// names, or the ID itself if the image has no name.
func pinName(img Image, ref string) (string, error) {
	if digest.Digest(ref).Validate() != nil {
		full, err := normalize(ref)
		return repositoryOf(full) + "@" + img.Target.String(), err
	}
	if len(img.Names) > 0 {
		return repositoryOf(img.Names[0]) + "@" + img.Target.String(), nil
	}
	return img.ID.String(), nil
}

func (d *Daemon) pin(ctx context.Context, holder string, i images.Image) error {
	unlock, err := d.lockPins(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	store := d.client.ImageService()
	i.Labels = map[string]string{"io.cri-containerd.image": "managed", pinLabel: pinCreated, holderPrefix + holder: holds}
	_, err = store.Create(ctx, i)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	old, err := store.Get(ctx, i.Name)
	if err != nil {
		return err
	}
	labels := map[string]string{holderPrefix + holder: holds}
	if old.Labels[pinLabel] == "" {
		labels[pinLabel] = pinFound
	}
	return d.label(ctx, i.Name, labels)
}

// lockPins excludes other processes that pin or unpin images: a pin takes two
// calls, one to read labels and one to write them.
func (d *Daemon) lockPins(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(d.layout.viewDir(), 0o711); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(d.layout.viewDir(), "pins"))
}

// label sets labels of a name and keeps its other labels. An empty value removes
// a label.
func (d *Daemon) label(ctx context.Context, name string, labels map[string]string) error {
	var fields []string
	for key := range labels {
		fields = append(fields, "labels."+key)
	}
	_, err := d.client.ImageService().Update(ctx, images.Image{Name: name, Labels: labels}, fields...)
	return err
}

// Unpin undoes Pin for one holder, by the reference that Pin returned. It removes
// the image unless another holder pins it, a tag names it or a container uses it,
// so that no earlier versions of a tag are left. It returns nil if the image is
// not pinned.
func (d *Daemon) Unpin(ctx context.Context, holder, reference string) error {
	if d.client == nil {
		return fmt.Errorf("unpin image %s: %w", reference, errNotContainerd)
	}
	img, err := d.Image(ctx, reference)
	if errors.Is(err, ErrNoImage) {
		return nil
	}
	if err == nil {
		err = d.unpin(ctx, holder, reference)
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

// UnpinAll undoes all pins of a holder.
func (d *Daemon) UnpinAll(ctx context.Context, holder string) error {
	if d.client == nil {
		return fmt.Errorf("unpin images: %w", errNotContainerd)
	}
	held, err := d.client.ImageService().List(ctx, fmt.Sprintf("labels.%q==%s", holderPrefix+holder, holds))
	if err != nil {
		return fmt.Errorf("unpin images: %w", err)
	}
	var errs []error
	for _, i := range held {
		errs = append(errs, d.Unpin(ctx, holder, i.Name))
	}
	return errors.Join(errs...)
}

func (d *Daemon) unpin(ctx context.Context, holder, name string) error {
	unlock, err := d.lockPins(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := d.client.ImageService().Get(ctx, name)
	if err != nil {
		return err
	}
	for key := range old.Labels {
		if strings.HasPrefix(key, holderPrefix) && key != holderPrefix+holder {
			return d.label(ctx, name, map[string]string{holderPrefix + holder: ""})
		}
	}
	switch old.Labels[pinLabel] {
	case pinCreated:
		if err := d.client.ImageService().Delete(ctx, name); err != nil {
			return err
		}
		return d.waitSeen(ctx, name, "")
	case pinFound:
		return d.label(ctx, name, map[string]string{holderPrefix + holder: "", pinLabel: ""})
	}
	return nil
}
