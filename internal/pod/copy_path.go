package pod

import (
	"context"
	"os"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// CopyIn copies a path of this machine into a container of the pod, where it
// belongs to root. See rootfs.Copy.
func (p *Pod) CopyIn(ctx context.Context, container, src, dst string) ([]tree.Unknown, error) {
	return p.copyPath(ctx, container, func(inside, outside *rootfs.Root) ([]tree.Unknown, error) {
		return rootfs.Copy(ctx, outside, inside, src, dst, rootfs.ExtractOptions{Owner: &rootfs.Owner{}})
	})
}

// CopyOut copies a path of a container of the pod to this machine, where it
// belongs to the user of this process. See rootfs.Copy.
func (p *Pod) CopyOut(ctx context.Context, container, src, dst string) ([]tree.Unknown, error) {
	own := rootfs.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	return p.copyPath(ctx, container, func(inside, outside *rootfs.Root) ([]tree.Unknown, error) {
		return rootfs.Copy(ctx, inside, outside, src, dst, rootfs.ExtractOptions{Owner: &own})
	})
}

func (p *Pod) copyPath(ctx context.Context, container string, do func(inside, outside *rootfs.Root) ([]tree.Unknown, error)) ([]tree.Unknown, error) {
	inside, err := p.OpenRoot(ctx, container)
	if err != nil {
		return nil, err
	}
	defer inside.Close()
	outside, err := rootfs.Open("/")
	if err != nil {
		return nil, err
	}
	defer outside.Close()
	return do(inside, outside)
}
