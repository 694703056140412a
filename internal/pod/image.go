package pod

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A MissingImageError is returned when an image is not in the store and could
// not be pulled.
type MissingImageError struct {
	Image string // as the manifest has it
	Err   error  // why it was not pulled; nil if the policy is Never
}

func (e *MissingImageError) Error() string {
	reason := "its pull policy is Never"
	if e.Err != nil {
		reason = e.Err.Error()
	}
	return fmt.Sprintf("image %s is not loaded (%s); load it with `adamant load FILE`", e.Image, reason)
}

// Mend returns how to get the image.
func (e *MissingImageError) Mend() string {
	return "save it where it is (docker save " + e.Image + ") and load it here, or name it: adamant load FILE --as " + e.Image
}

// Unwrap returns why the image was not pulled.
func (e *MissingImageError) Unwrap() error { return e.Err }

// EnsureImage pulls an image of a pod if it is not in the store and the policy allows it,
// with the credentials of the pod's imagePullSecrets.
func (e *Engine) EnsureImage(ctx context.Context, s PodSpec, ref string, policy corev1.PullPolicy) error {
	_, err := e.ensureImage(ctx, &s, ref, policy, nil, nil)
	return err
}

// EnsureImages pulls the images of a pod that are not in the store, and which its
// policies allow to be pulled.
func (e *Engine) EnsureImages(ctx context.Context, spec PodSpec, events Events) error {
	s := translate.WithDefaults(spec)
	images := &podImages{e: e, spec: &s, events: events, found: map[string]translate.Image{}}
	if err := images.ensureAll(ctx); err != nil {
		return fmt.Errorf("pod %s/%s: %w", s.Namespace, s.Name, err)
	}
	return images.ensureVolumes(ctx)
}

// ensureImage finds an image in the runtime's store, or pulls it.
func (e *Engine) ensureImage(ctx context.Context, s *PodSpec, ref string, policy corev1.PullPolicy, sandbox *runtimeapi.PodSandboxConfig, events Events) (translate.Image, error) {
	if err := e.buildCopyUpImage(ctx, ref); err != nil {
		return translate.Image{}, err
	}
	info, found, err := e.imageStatus(ctx, ref)
	if err != nil {
		return translate.Image{}, err
	}
	if found && (policy != corev1.PullAlways || !e.opts.Pull) {
		return info, nil
	}
	if policy == corev1.PullNever {
		return translate.Image{}, &MissingImageError{Image: ref}
	}
	events.emit(s, "", "Pulling", "pulling image %s", ref)
	if err := e.pull(ctx, s, ref, sandbox, events); err != nil {
		return translate.Image{}, &MissingImageError{Image: ref, Err: err}
	}
	info, found, err = e.imageStatus(ctx, ref)
	if err == nil && !found {
		err = &MissingImageError{Image: ref, Err: fmt.Errorf("it was removed right after it was pulled")}
	}
	return info, err
}

// buildCopyUpImage builds the image of the copy-up tool, which is this program. The
// image is in no registry.
func (e *Engine) buildCopyUpImage(ctx context.Context, ref string) error {
	if ref != containerd.CopyUpImage || e.daemon.Client() == nil {
		return nil
	}
	program := e.opts.Executable
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return fmt.Errorf("make image %s: %w", ref, err)
		}
	}
	return e.daemon.EnsureCopyUpImage(ctx, program)
}

func (e *Engine) imageStatus(ctx context.Context, ref string) (translate.Image, bool, error) {
	resp, err := e.cri.ImageStatus(ctx, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if cri.IsNotFound(err) {
		return translate.Image{}, false, nil
	}
	if err != nil {
		return translate.Image{}, false, err
	}
	img := resp.GetImage()
	if img.GetId() == "" {
		return translate.Image{}, false, nil
	}
	info := translate.Image{ID: img.Id, Username: img.Username}
	switch {
	case img.Uid != nil:
		info.UID = &img.Uid.Value
	case img.Username == "":
		info.UID = new(int64) // an image that names no user runs as root
	}
	return info, true, nil
}
