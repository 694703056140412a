package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// ensureVolumeImages makes sure of the images of volumes.
func (w *worker) ensureVolumeImages(ctx context.Context) error {
	for i := range w.rec.Spec.Spec.Volumes {
		vol := &w.rec.Spec.Spec.Volumes[i]
		if vol.Image == nil {
			continue
		}
		policy := vol.Image.PullPolicy
		if policy == "" {
			policy = corev1.PullIfNotPresent
		}
		if _, err := w.e.ensureImage(ctx, &w.rec.Spec, vol.Image.Reference, policy, w.sandboxConfig, w.events); err != nil {
			return fmt.Errorf("volume %s: %w", vol.Name, err)
		}
	}
	return nil
}

// unmountImages unmounts a pod's image volumes and gives up what the runtime
// holds for them.
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
