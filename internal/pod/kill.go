package pod

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// KilledCode is the exit code of a process that SIGKILL ended.
const KilledCode = 128 + int32(unix.SIGKILL)

// Kill kills the main process of a container with SIGKILL, as the kernel does when
// memory runs out. If this process supervises the pod, the container is restarted
// by its restart policy, and at once: the kill does not count as a crash.
func (p *Pod) Kill(ctx context.Context, container string) error {
	c, err := p.running(ctx, container)
	if err != nil {
		return err
	}
	if c.PID == 0 {
		return fmt.Errorf("kill container %s of pod %s: the runtime does not report its process", c.Name, p.Name)
	}
	id := c.ID
	fd, err := unix.PidfdOpen(c.PID, 0)
	if err != nil {
		return fmt.Errorf("kill container %s of pod %s: %w", c.Name, p.Name, err)
	}
	defer unix.Close(fd)
	// The process may have ended and its PID may have been reused before it was
	// opened. If the container still runs, it was the right one.
	if c, err = p.running(ctx, c.Name); err != nil {
		return err
	}
	if c.ID != id {
		return fmt.Errorf("kill container %s of pod %s: it ended in the meantime", c.Name, p.Name)
	}
	p.e.killed.Store(id, struct{}{})
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		p.e.killed.Delete(id)
		return fmt.Errorf("kill container %s of pod %s: %w", c.Name, p.Name, err)
	}
	return nil
}

// RestartsKilled reports whether a container is restarted after its main process
// was killed. Init containers that are no sidecars are not: they have ended.
func (p *Pod) RestartsKilled(c *Container) bool {
	spec, ok := p.rec.Spec.Container(c.Name)
	return ok && (!c.Init || c.Sidecar) && restarts(&p.rec.Spec, spec, KilledCode)
}
