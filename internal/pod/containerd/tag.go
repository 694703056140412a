package containerd

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Tag adds a name to an image and returns the image with it.
func (d *Daemon) Tag(ctx context.Context, ref, name string) (Image, error) {
	full, err := normalize(name)
	if err != nil {
		return Image{}, err
	}
	target, err := d.resolve(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	img, err := d.Image(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	labels := map[string]string{"io.cri-containerd.image": "managed"} // CRI lists no others
	if err := d.setName(ctx, images.Image{Name: full, Target: target, Labels: labels}); err != nil {
		return Image{}, fmt.Errorf("name image %s: %w", full, err)
	}
	if err := d.waitSeen(ctx, full, img.ID); err != nil {
		return Image{}, fmt.Errorf("name image %s: %w", full, err)
	}
	return d.Image(ctx, full)
}

// Pull fetches an image from its registry, as a kubelet would.
func (d *Daemon) Pull(ctx context.Context, ref string) (Image, error) {
	full, err := normalize(ref)
	if err != nil {
		return Image{}, err
	}
	if _, err := d.cri.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: full}}); err != nil {
		return Image{}, fmt.Errorf("pull %s: %w", full, err)
	}
	return d.Image(ctx, full)
}
