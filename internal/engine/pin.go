package engine

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/engine/containerd"
)

// A Pinned image is what an image's name meant at one moment.
type Pinned struct {
	Digest    string // of its manifest
	Reference string // by which pods run it
}

// Pin finds what an image's name means now, pulling it if the policy asks for
// that, and keeps it in the store until Unpin, whatever is loaded under that
// name later. A runtime that was there before keeps its images itself.
func (e *Engine) Pin(ctx context.Context, ref string, policy corev1.PullPolicy) (Pinned, error) {
	info, err := e.ensureImage(ctx, &PodSpec{}, ref, policy, nil, nil)
	if err != nil {
		return Pinned{}, err
	}
	switch {
	case ref == containerd.CopyUpImage:
		return Pinned{info.id, ref}, nil // it is always this program's own
	case e.daemon.Client() == nil:
		return Pinned{info.id, info.id}, nil
	}
	img, name, err := e.daemon.Pin(ctx, ref)
	if err != nil {
		return Pinned{}, err
	}
	return Pinned{img.Digest.String(), name}, nil
}

// Unpin lets go of an image by the Reference that Pin returned.
func (e *Engine) Unpin(ctx context.Context, reference string) error {
	if e.daemon.Client() == nil {
		return nil
	}
	return e.daemon.Unpin(ctx, reference)
}
