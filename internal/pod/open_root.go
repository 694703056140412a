package pod

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// OpenRoot opens the file system of a running container, including its volumes.
// Paths are resolved within the root. The caller closes it.
func (p *Pod) OpenRoot(ctx context.Context, container string) (*rootfs.Root, error) {
	c, err := p.running(ctx, container)
	if err != nil {
		return nil, err
	}
	if c.PID == 0 {
		return nil, fmt.Errorf("container %s of pod %s: the runtime does not report its process", c.Name, p.Name)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", c.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of container %s: %w", c.Name, err)
	}
	defer unix.Close(fd) // rootfs.New duplicates it
	// The process may have ended and its PID may have been reused before the
	// directory was opened. If the container still runs, it was the right one.
	now, err := p.running(ctx, container)
	if err != nil {
		return nil, err
	}
	if now.ID != c.ID {
		return nil, fmt.Errorf("container %s of pod %s ended in the meantime", c.Name, p.Name)
	}
	return rootfs.New(fd)
}
