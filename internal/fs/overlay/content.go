package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A file holds the nodes with the content of a regular file on each side. A node
// is nil if there is no such file, or if the layers do not have its content.
type file struct {
	want, got *node
}

// errContent is returned for a metacopy file without content in a lower layer.
var errContent = errors.New("no layer has its content")

// OpenWant opens a regular file of the lower layers. The error is tree.ErrChanged
// if the file has been replaced since the changes were read.
func (c *Changes) OpenWant(path string) (*os.File, error) {
	f, _, err := c.layers.openFile(c.files[path].want)
	return f, err
}

// OpenGot is OpenWant for a file of the merged tree.
func (c *Changes) OpenGot(path string) (*os.File, error) {
	f, _, err := c.layers.openFile(c.files[path].got)
	return f, err
}

// Equal reports whether a regular file has the same content on both sides. The error is
// tree.ErrChanged if no difference was found but the file changed while it was read.
func (c *Changes) Equal(ctx context.Context, path string) (bool, error) {
	f := c.files[path]
	if f.want != nil && f.got != nil && f.want.isSameFile(f.got) {
		// Metacopy: only the metadata was copied up, and both sides read the same
		// file of the lower layer.
		return true, nil
	}
	want, _, err := c.layers.openFile(f.want)
	if err != nil {
		return false, err
	}
	defer want.Close()
	got, before, err := c.layers.openFile(f.got)
	if err != nil {
		return false, err
	}
	defer got.Close()
	isEqual, err := equal(ctx, want, got)
	if err != nil || !isEqual {
		return false, err
	}
	// A program may have written to a part that was already compared.
	var after unix.Stat_t
	if err := unix.Fstat(int(got.Fd()), &after); err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	if !isUnchanged(&before, &after) {
		return false, tree.ErrChanged
	}
	return true, nil
}

// openFile opens the content of a regular file if it is still the same inode.
// FIFOs and devices are never opened: that could block, or have an effect.
func (l *layers) openFile(n *node) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	if n == nil {
		return nil, st, errContent
	}
	fd, err := l.open(n.place, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, st, tree.ErrChanged
	}
	if err != nil {
		return nil, st, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, st, fmt.Errorf("look at it: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Dev != n.stat.Dev || st.Ino != n.stat.Ino || st.Size != n.stat.Size {
		return nil, st, tree.ErrChanged
	}
	file, err := rootfs.Reopen(fd) // at the path there may be a FIFO by now
	if err != nil {
		return nil, st, fmt.Errorf("open: %w", err)
	}
	return os.NewFile(uintptr(file), lastName(n.path)), st, nil
}

// chunk is the number of bytes of each side that are compared at once.
const chunk = 64 << 10

// equal reads two files up to their first difference.
func equal(ctx context.Context, a, b io.Reader) (bool, error) {
	buf := make([]byte, 2*chunk)
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, errA := io.ReadFull(a, buf[:chunk])
		m, errB := io.ReadFull(b, buf[chunk:])
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, fmt.Errorf("read: %w", err)
			}
		}
		if !bytes.Equal(buf[:n], buf[chunk:chunk+m]) {
			return false, nil
		}
		if n < chunk {
			return true, nil
		}
	}
}
