package pod

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A CopyEnd is the source or the destination of a copy.
type CopyEnd struct {
	Pod  string // empty on this machine
	Path string // absolute, but with the slash at its end
}

// ParseCopyEnd parses "POD:PATH" or a path, which may begin with ./ to hold a
// colon.
func ParseCopyEnd(arg string) CopyEnd {
	pod, p, ok := strings.Cut(arg, ":")
	if ok && pod != "" && !strings.HasPrefix(arg, ".") && !strings.HasPrefix(arg, "/") {
		return CopyEnd{pod, keepSlash(p, path.Join("/", p))}
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		abs = arg
	}
	return CopyEnd{"", keepSlash(arg, abs)}
}

// keepSlash keeps the slash that marks a path as a directory.
func keepSlash(arg, clean string) string {
	if strings.HasSuffix(arg, "/") || arg == "." || strings.HasSuffix(arg, "/.") {
		return strings.TrimSuffix(clean, "/") + "/"
	}
	return clean
}

// Copy copies a path into or out of a container of a pod: one of src and dst must
// be on this machine. See CopyIn and CopyOut.
func (e *Engine) Copy(ctx context.Context, container string, src, dst CopyEnd) ([]tree.Unknown, error) {
	p, err := e.Find(ctx, src.Pod+dst.Pod)
	if err != nil {
		return nil, err
	}
	if src.Pod != "" {
		return p.CopyOut(ctx, container, src.Path, dst.Path)
	}
	return p.CopyIn(ctx, container, src.Path, dst.Path)
}

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
