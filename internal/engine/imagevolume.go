package engine

import (
	"context"
	"errors"
)

// MountImage mounts an image for a volume.
func (e *Engine) MountImage(ctx context.Context, ref, target string) error {
	return errors.New("image volumes are not supported yet")
}

func (e *Engine) unmountImages(ctx context.Context, l layout) error { return nil }
