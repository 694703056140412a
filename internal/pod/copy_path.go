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
	Pod       string // empty on this machine
	Path      string // absolute, but with the slash at its end
	Namespace string // of the pod; empty for any
}

// ParseCopyEnd parses "POD:PATH" or a path, which may begin with ./ to hold a
// colon.
func ParseCopyEnd(arg string) CopyEnd {
	pod, p, ok := strings.Cut(arg, ":")
	if ok && pod != "" && !strings.HasPrefix(arg, ".") && !strings.HasPrefix(arg, "/") {
		return CopyEnd{Pod: pod, Path: keepSlash(p, path.Join("/", p))}
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		abs = arg
	}
	return CopyEnd{Path: keepSlash(arg, abs)}
}

// keepSlash keeps the slash that marks a path as a directory.
func keepSlash(arg, clean string) string {
	if strings.HasSuffix(arg, "/") || arg == "." || strings.HasSuffix(arg, "/.") {
		return strings.TrimSuffix(clean, "/") + "/"
	}
	return clean
}

// Copy copies a path into or out of a container of a pod: one of src and dst must
// be on this machine. Copies in the container belong to root, those on this machine
// to the user of this process. See rootfs.Copy.
func (e *Engine) Copy(ctx context.Context, container string, src, dst CopyEnd) ([]tree.Unknown, error) {
	p, err := e.FindIn(ctx, src.Namespace+dst.Namespace, src.Pod+dst.Pod)
	if err != nil {
		return nil, err
	}
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
	if src.Pod == "" {
		return rootfs.Copy(ctx, outside, inside, src.Path, dst.Path, rootfs.ExtractOptions{Owner: &rootfs.Owner{}})
	}
	own := rootfs.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	return rootfs.Copy(ctx, inside, outside, src.Path, dst.Path, rootfs.ExtractOptions{Owner: &own})
}
