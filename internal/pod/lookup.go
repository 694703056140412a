package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// EnsureImage makes sure that the store has an image, which is pulled if the
// policy allows it.
func (e *Engine) EnsureImage(ctx context.Context, ref string, policy corev1.PullPolicy) error {
	_, err := e.ensureImage(ctx, &PodSpec{}, ref, policy, nil, nil)
	return err
}

// LastLines returns the last n lines that the latest attempt at a container
// wrote to its log.
func (p *Pod) LastLines(container string, n int) []string {
	c, err := p.Container(container)
	if err != nil || c.LogPath == "" {
		return nil
	}
	return tail(c.LogPath, n)
}
