package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/containerd/errdefs"

	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// RuntimeMounts returns the mount points that every CRI runtime adds to a
// container.
func RuntimeMounts() []string {
	return []string{"/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"}
}

// mountPoints returns the mount points of a container: those of the manifest and
// those that every runtime adds.
func (p *Pod) mountPoints(container string) []string {
	points := RuntimeMounts()
	c, ok := p.rec.Spec.Container(container)
	if !ok {
		return points
	}
	for _, m := range c.VolumeMounts {
		points = append(points, m.MountPath)
	}
	if c.TerminationMessagePath != "" {
		points = append(points, c.TerminationMessagePath)
	}
	return points
}

// Overlay finds the overlay of a container's root file system, whether the
// container runs or has ended. The error wraps overlay.ErrNoOverlay if the
// snapshotter does not use overlays.
func (p *Pod) Overlay(ctx context.Context, c *Container) (overlay.Mount, error) {
	if c.ID == "" {
		return overlay.Mount{}, fmt.Errorf("container %s of pod %s has not been started", c.Name, p.Name)
	}
	var found *overlay.Mount
	if c.PID != 0 {
		if m, err := overlay.Find(c.PID); err == nil {
			found = &m
		}
		// An error is ignored: the process may have ended, and the runtime still
		// has the layers.
	}
	if p.e.daemon.Client() == nil {
		if found != nil {
			return *found, nil
		}
		return overlay.Mount{}, fmt.Errorf("container %s of pod %s does not run, and this runtime does not report its layers", c.Name, p.Name)
	}
	// The process may have changed its root, with chroot into an image volume,
	// which is an overlay too, or its PID may have been reused. Its root is used
	// only if the upper directory is that of the container.
	own, err := p.layers(ctx, c)
	if found != nil && (err == nil && found.Upper == own.Upper || errdefs.IsNotFound(err) && !p.e.daemon.Private()) {
		return *found, nil
	}
	return own, err
}

// layers returns the layers of a container from the runtime.
func (p *Pod) layers(ctx context.Context, c *Container) (overlay.Mount, error) {
	mounts, err := p.e.daemon.Client().SnapshotService(p.e.daemon.Snapshotter()).Mounts(ctx, c.ID)
	if err != nil {
		return overlay.Mount{}, fmt.Errorf("layers of container %s: %w", c.Name, err)
	}
	if len(mounts) != 1 || mounts[0].Type != "overlay" {
		return overlay.Mount{}, fmt.Errorf("layers of container %s: %w", c.Name, overlay.ErrNoOverlay)
	}
	m, err := overlay.Parse(mounts[0].Options)
	if err != nil {
		return overlay.Mount{}, fmt.Errorf("layers of container %s: %w", c.Name, err)
	}
	m.Points = p.mountPoints(c.Name)
	m.WorkDir, err = p.workDir(ctx, c)
	return m, err
}

// workDir returns the working directory of a container from the runtime, which knows
// that of the image too.
func (p *Pod) workDir(ctx context.Context, c *Container) (overlay.WorkDir, error) {
	record, err := p.e.daemon.Client().LoadContainer(ctx, c.ID)
	if err != nil {
		return overlay.WorkDir{}, fmt.Errorf("working directory of container %s: %w", c.Name, err)
	}
	spec, err := record.Spec(ctx)
	if err != nil || spec.Process == nil {
		return overlay.WorkDir{}, err
	}
	return overlay.WorkDir{Path: path.Clean("/" + spec.Process.Cwd), UID: spec.Process.User.UID, GID: spec.Process.User.GID}, nil
}

// verifyRoot returns an error if a root is not the directory of the container's
// snapshot. It returns nil if the runtime does not report the directory.
func (p *Pod) verifyRoot(ctx context.Context, c *Container, root *rootfs.Root) error {
	client := p.e.daemon.Client()
	if client == nil {
		return nil
	}
	mounts, err := client.SnapshotService(p.e.daemon.Snapshotter()).Mounts(ctx, c.ID)
	if errdefs.IsNotFound(err) && !p.e.daemon.Private() {
		return nil
	}
	if err == nil && len(mounts) == 1 && mounts[0].Type == "bind" {
		err = isDir(root, mounts[0].Source)
	}
	if err != nil {
		return fmt.Errorf("root of container %s: %w", c.Name, err)
	}
	return nil
}

// isDir returns an error if a root is not the directory dir.
func isDir(root *rootfs.Root, dir string) error {
	f, err := root.OpenDir("/")
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := f.Stat()
	if err != nil {
		return err
	}
	want, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !os.SameFile(got, want) {
		return errors.New("its process has changed its root directory, so that its own cannot be compared")
	}
	return nil
}
