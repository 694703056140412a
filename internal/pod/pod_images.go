package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// podImages finds the images of one pod, and pulls them if they are missing. It
// is not safe for concurrent use, except that ensureVolumes may run concurrently
// with the other methods.
type podImages struct {
	e       *Engine
	spec    *PodSpec
	sandbox *runtimeapi.PodSandboxConfig // for the credentials of a pull
	events  Events
	found   map[string]translate.Image // by reference
}

// ensure returns the image of a container.
func (p *podImages) ensure(ctx context.Context, ctr *corev1.Container) (translate.Image, error) {
	if image, ok := p.found[ctr.Image]; ok {
		return image, nil
	}
	image, err := p.e.ensureImage(ctx, p.spec, ctr.Image, ctr.ImagePullPolicy, p.sandbox, p.events)
	if err != nil {
		return translate.Image{}, fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	p.found[ctr.Image] = image
	return image, nil
}

// ensureAll pulls the missing images of all containers. It is called before the
// first container is created, so that a missing image leaves no half-started pod.
func (p *podImages) ensureAll(ctx context.Context) error {
	for _, list := range [][]corev1.Container{p.spec.Spec.InitContainers, p.spec.Spec.Containers} {
		for i := range list {
			if _, err := p.ensure(ctx, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensureVolumes pulls the missing images of all image volumes.
func (p *podImages) ensureVolumes(ctx context.Context) error {
	for i := range p.spec.Spec.Volumes {
		vol := &p.spec.Spec.Volumes[i]
		if vol.Image == nil {
			continue
		}
		policy := vol.Image.PullPolicy
		if policy == "" {
			policy = corev1.PullIfNotPresent
		}
		if _, err := p.e.ensureImage(ctx, p.spec, vol.Image.Reference, policy, p.sandbox, p.events); err != nil {
			return fmt.Errorf("volume %s: %w", vol.Name, err)
		}
	}
	return nil
}

// unmountImages unmounts a pod's image volumes and removes their snapshots.
func (e *Engine) unmountImages(ctx context.Context, l layout) error {
	if e.daemon.Client() == nil {
		return nil
	}
	dir := filepath.Dir(l.Volume(translate.PluginImage, "x"))
	volumes, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := e.daemon.Unmount(ctx, filepath.Join(dir, v.Name())); err != nil {
			return err
		}
	}
	return nil
}
