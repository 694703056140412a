package pod

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// A Pinned is an image as it was when it was pinned, whatever image its name
// stands for later.
type Pinned struct {
	Reference string // to be used as the image of a container
	Digest    string // of the manifest for this machine, "sha256:…"; empty if the runtime does not report it
}

// Pin resolves a reference to an image, and keeps that image in the store until
// each holder has unpinned it. The image is pulled first if it is
// missing and the policy allows it. For one holder, a label's name, to pin twice
// is to pin once. Pins outlive this process. A runtime other than containerd
// keeps images by its own rules.
func (e *Engine) Pin(ctx context.Context, holder, ref string, policy corev1.PullPolicy) (Pinned, error) {
	if err := e.EnsureImage(ctx, ref, policy); err != nil {
		return Pinned{}, err
	}
	switch {
	case ref == containerd.CopyUpImage:
		return Pinned{Reference: ref}, nil // it is always this program's own
	case e.daemon.Client() == nil:
		return e.identify(ctx, ref)
	}
	img, reference, err := e.daemon.Pin(ctx, holder, ref)
	return Pinned{Reference: reference, Digest: img.Digest.String()}, err
}

// identify finds a reference that stands for exactly one image, using only CRI.
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

// Unpin undoes Pin for one holder, by Pinned.Reference. The image
// stays for as long as another holds it, a tag names it or a container uses it.
// That nothing is pinned by it is no error.
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
