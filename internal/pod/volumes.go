package pod

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/adamant-sh/adamant/internal/pod/translate"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// createVolumes creates every volume of a pod and returns them by name.
func (e *Engine) createVolumes(ctx context.Context, s *PodSpec, f translate.Facts) (map[string]translate.Volume, error) {
	out := map[string]translate.Volume{}
	for i := range s.Spec.Volumes {
		plan, err := translate.PlanVolume(s, f, &s.Spec.Volumes[i])
		if err == nil {
			err = e.createVolume(ctx, plan)
		}
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", s.Spec.Volumes[i].Name, err)
		}
		out[plan.Name] = plan.Volume
	}
	return out, nil
}

func (e *Engine) createVolume(ctx context.Context, p translate.VolumePlan) error {
	switch {
	case p.HostPath != nil:
		return volume.HostPath(p.Path, *p.HostPath)
	case p.Claim != nil:
		return prepareClaim(p)
	case p.MountImage != "":
		// The directory is created before the mount, so that a removal after a
		// crash finds the mount.
		if err := os.MkdirAll(p.Path, 0o755); err != nil {
			return err
		}
		return e.daemon.Mount(ctx, p.MountImage, p.Path)
	case p.Payload != nil:
		return createPayload(p)
	case p.EmptyDir != nil:
		return volume.EmptyDir(*p.EmptyDir).Make(p.Path)
	}
	return nil
}

// createPayload creates a volume with data of the API. It replaces the volume of
// an earlier start of the pod, because only the pod's containers, which have been
// removed, used it.
func createPayload(p translate.VolumePlan) error {
	if err := errors.Join(volume.Unmount(p.Path), os.RemoveAll(p.Path)); err != nil {
		return err
	}
	if err := volume.EmptyDir(*p.EmptyDir).Make(p.Path); err != nil {
		return err
	}
	files := make(map[string]volume.File, len(p.Payload.Files))
	for path, f := range p.Payload.Files {
		files[path] = volume.File(f)
	}
	return volume.WritePayload(p.Path, files, p.EmptyDir.FSGroup, p.Payload.NestedMounts)
}

// createContainerFiles creates the files and mounts that a container needs
// before the runtime creates it.
func createContainerFiles(container string, l layout, p translate.ContainerPlan) error {
	for _, s := range p.Subpaths {
		if err := volume.BindSubpath(s.Source, s.Path, s.Target); err != nil {
			return fmt.Errorf("mount of volume %s on %s: %w", s.Volume, s.MountPath, err)
		}
	}
	if p.TerminationLog == "" {
		return nil
	}
	if err := os.MkdirAll(l.Container(container), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(p.TerminationLog, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	// Chmod, because the umask of this process applies to OpenFile and any user
	// in the container may write the file.
	return errors.Join(f.Chmod(0o666), f.Close())
}
