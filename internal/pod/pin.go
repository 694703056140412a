package pod

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// A Pinned is a pinned image. It stays the same image even if the name refers to
// another one later.
type Pinned struct {
	Reference string // the image of a container spec
	Digest    string // of the manifest for this machine, "sha256:…"; empty if the runtime does not report it
}

// Pin resolves a reference to an image and keeps that image in the store until
// each holder has unpinned it. The image is pulled first if it is missing and the
// policy allows it, with the credentials of the pod's imagePullSecrets. holder is part of a label's name; pinning twice for the same
// holder has no effect. Pins outlive this process. With a runtime other than
// containerd the image is resolved but not kept.
func (e *Engine) Pin(ctx context.Context, holder string, s PodSpec, ref string, policy corev1.PullPolicy) (Pinned, error) {
	if err := e.EnsureImage(ctx, s, ref, policy); err != nil {
		return Pinned{}, err
	}
	switch {
	case ref == containerd.CopyUpImage:
		return Pinned{Reference: ref}, nil // always built from this program
	case e.daemon.Client() == nil:
		return e.identify(ctx, ref)
	}
	img, reference, err := e.daemon.Pin(ctx, holder, ref)
	return Pinned{Reference: reference, Digest: img.Digest.String()}, err
}

// identify finds a reference to exactly one image, through CRI alone.
func (e *Engine) identify(ctx context.Context, ref string) (Pinned, error) {
	resp, err := e.cri.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil {
		return Pinned{}, err
	}
	img := resp.GetImage()
	if img.GetId() == "" {
		return Pinned{}, fmt.Errorf("pin image %s: %w", ref, &MissingImageError{Image: ref})
	}
	for _, name := range img.RepoDigests {
		if _, digest, ok := strings.Cut(name, "@"); ok {
			return Pinned{Reference: name, Digest: digest}, nil
		}
	}
	return Pinned{Reference: img.Id}, nil
}

// Unpin undoes Pin for one holder, by Pinned.Reference. It removes the image
// unless another holder pins it, a tag names it or a container uses it. It
// returns nil if nothing is pinned.
func (e *Engine) Unpin(ctx context.Context, holder, reference string) error {
	if e.daemon.Client() == nil {
		return nil
	}
	return e.daemon.Unpin(ctx, holder, reference)
}

// UnpinAll undoes every Pin of a holder.
func (e *Engine) UnpinAll(ctx context.Context, holder string) error {
	if e.daemon.Client() == nil {
		return nil
	}
	return e.daemon.UnpinAll(ctx, holder)
}
