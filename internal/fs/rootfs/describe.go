package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// DescribeOptions configures Describe.
type DescribeOptions struct {
	// Size is the size in bytes of a regular file that is read for its digest. A file of
	// another size gets no digest, because a container could choose the size and so the
	// time that reading takes.
	Size int64
	// OverlayXattrs keeps the attributes of overlayfs, for reading a layer.
	OverlayXattrs bool
}

var hashBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Describe is Lstat with the digest of a regular file. It follows no symbolic links, and
// accepts paths longer than PATH_MAX. The error wraps tree.ErrChanged if the path is gone,
// or if the file changed while it was read.
func (r *Root) Describe(ctx context.Context, name string, opts DescribeOptions) (tree.Entry, error) {
	fd, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, refuseLinks)
	if errors.Is(err, ErrThroughLink) {
		return tree.Entry{}, fmt.Errorf("%w: %w", tree.ErrChanged, err)
	}
	if err != nil {
		return tree.Entry{}, gone(err)
	}
	defer unix.Close(fd)
	st, err := statFD(fd)
	if err != nil {
		return tree.Entry{}, err
	}
	e, err := entryOf(fd, path.Clean("/"+name), &st, opts.OverlayXattrs)
	if err != nil || e.Kind != tree.Regular || e.Size != opts.Size {
		return e, err
	}
	buf := hashBuffers.Get().(*[bufferSize]byte)
	defer hashBuffers.Put(buf)
	how := WalkOptions{MaxFileSize: opts.Size, OverlayXattrs: opts.OverlayXattrs}
	err = how.hash(ctx, fd, &e, &st, buf[:])
	if errors.Is(err, tree.ErrTooLarge) { // it grew
		err = tree.ErrChanged
	}
	return e, err
}

// Has reports whether a path exists, without symbolic links on the way.
func (r *Root) Has(name string) (bool, error) {
	fd, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, refuseLinks)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, ErrThroughLink) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, unix.Close(fd)
}
