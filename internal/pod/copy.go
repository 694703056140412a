package pod

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// OpenRoot opens the file system that a running container sees, its volumes
// included. No path in it leads out. The caller closes it.
func (p *Pod) OpenRoot(ctx context.Context, container string) (*rootfs.Root, error) {
	if err := p.Refresh(ctx); err != nil {
		return nil, err
	}
	id, err := p.running(container)
	if err != nil {
		return nil, err
	}
	c, err := p.Container(container)
	if err != nil {
		return nil, err
	}
	if c.PID == 0 {
		return nil, fmt.Errorf("container %s of pod %s: the runtime does not tell its process", c.Name, p.Name)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", c.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of container %s: %w", c.Name, err)
	}
	defer unix.Close(fd) // the root has one of its own
	// The process may have ended, and its number be another's by now.
	if err := p.Refresh(ctx); err != nil {
		return nil, err
	}
	if now, err := p.running(container); err != nil || now != id {
		return nil, fmt.Errorf("container %s of pod %s ended in the meantime", c.Name, p.Name)
	}
	return rootfs.New(fd)
}

// CopyFrom writes a tar archive of a path in a running container, in which
// that is called name, or by its last element if name is empty. It returns
// the paths that could not be archived, or changed while they were read.
func (p *Pod) CopyFrom(ctx context.Context, container, path, name string, archive io.Writer) ([]tree.Unknown, error) {
	root, err := p.OpenRoot(ctx, container)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Archive(ctx, archive, path, name)
}

// CopyTo unpacks a tar archive in a directory of a running container. A
// read-only root file system refuses it as it refuses the container.
func (p *Pod) CopyTo(ctx context.Context, container, dir string, archive io.Reader, o rootfs.ExtractOptions) error {
	root, err := p.OpenRoot(ctx, container)
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Extract(ctx, archive, dir, o)
}
