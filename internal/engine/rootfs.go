package engine

import (
	"context"
	"fmt"

	"github.com/adamant-sh/adamant/internal/overlay"
)

// runtimeMounts are what every CRI runtime mounts into a container by itself.
var runtimeMounts = []string{"/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"}

// MountPoints are the paths at which a container of the pod has something
// mounted, as the manifest has them, and those that every runtime adds.
func (p *Pod) MountPoints(container string) []string {
	points := append([]string{}, runtimeMounts...)
	c, ok := p.rec.Spec.container(container)
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

// Overlay finds the overlay that is the container's root file system, whether
// it runs or has ended. The error wraps overlay.ErrNoOverlay if its
// snapshotter makes none.
func (p *Pod) Overlay(ctx context.Context, c *Container) (overlay.Mount, error) {
	if c.ID == "" {
		return overlay.Mount{}, fmt.Errorf("container %s of pod %s has not been started", c.Name, p.Name)
	}
	if c.PID != 0 {
		m, err := overlay.Find(c.PID)
		if err == nil {
			return m, nil
		}
		// It may have ended in the meantime; the runtime knows its layers.
	}
	containerd := p.e.daemon.Client()
	if containerd == nil {
		return overlay.Mount{}, fmt.Errorf("container %s of pod %s does not run, and this runtime does not tell its layers", c.Name, p.Name)
	}
	mounts, err := containerd.SnapshotService(p.e.daemon.Snapshotter()).Mounts(ctx, c.ID)
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
	m.Points = p.MountPoints(c.Name)
	return m, nil
}
