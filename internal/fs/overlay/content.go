package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Pair is one path of an overlay that may differ: what the lower layers have there, and
// what the merged tree has. The methods may be called until the overlay is closed.
type Pair struct {
	// Want and Got are nil if that side has nothing at the path. They have no digests.
	// In a path of more than 4096 bytes, directories in the middle are omitted: see Path.
	Want, Got *tree.Entry

	layers    *layers
	trail     *trail
	name      string
	want, got content
	from      *place // of a directory that is new: the one that is merged into it
	at        handle // during the visit: the directory of got
}

// Size returns the length of Path in bytes.
func (p *Pair) Size() int {
	if p.name == "" {
		return p.trail.size
	}
	return p.trail.sizeOf(p.name)
}

// IsShortened reports whether directories are omitted in the paths of Want and Got.
func (p *Pair) IsShortened() bool { return p.Size() > maxText }

// IsMerged reports whether the pair is a new directory into which one of the lower layers
// is merged, so that From may return its path.
func (p *Pair) IsMerged() bool { return p.from != nil }

// Path returns the whole path, which may have megabytes.
func (p *Pair) Path() string { return p.trail.full(p.name) }

// Nearest returns the path, or that of a directory above if it is too long.
func (p *Pair) Nearest() string { return nearest(p.trail, p.name) }

// From returns the original path of a directory that was renamed, if a redirect leads
// there.
func (p *Pair) From() string {
	if p.from == nil {
		return ""
	}
	if from := p.from.path(); from != p.Path() {
		return from
	}
	return ""
}

// content is the file with the content of one side. It is not there if that side has no
// regular file, or if the layers do not have its content.
type content struct {
	place
	size    int64
	isThere bool
}

// errContent is returned for a metacopy file without content in a lower layer.
var errContent = errors.New("no layer has its content")

// OpenWant opens a regular file of the lower layers. The error is tree.ErrChanged if the
// file has been replaced since it was found.
func (p *Pair) OpenWant() (*os.File, error) {
	f, _, err := p.layers.openFile(p.want, handle{fd: -1})
	return f, err
}

// OpenGot is OpenWant for a file of the merged tree.
func (p *Pair) OpenGot() (*os.File, error) {
	f, _, err := p.layers.openFile(p.got, p.at)
	return f, err
}

// Equal reports whether a regular file has the same content on both sides. The error is
// tree.ErrChanged if no difference was found but the file changed while it was read.
func (p *Pair) Equal(ctx context.Context) (bool, error) {
	if p.want.isThere && p.got.isThere && p.want.id == p.got.id {
		// Metacopy: only the metadata was copied up, and both sides read the same
		// file of the lower layer.
		return true, nil
	}
	want, _, err := p.layers.openFile(p.want, handle{fd: -1})
	if err != nil {
		return false, err
	}
	defer want.Close()
	got, before, err := p.layers.openFile(p.got, p.at)
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

// openFile opens the content of a regular file if it is still the same inode: by its name
// if its directory is open, and otherwise by its path. FIFOs and devices are never opened:
// that could block, or have an effect.
func (l *layers) openFile(c content, dir handle) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	if !c.isThere {
		return nil, st, errContent
	}
	var fd int
	var err error
	if dir.fd >= 0 && c.layer == dir.layer && c.dir == dir.trail {
		fd, err = openAt(dir.fd, c.name, unix.O_PATH)
	} else {
		fd, err = l.open(c.place, unix.O_PATH)
	}
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
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Dev != c.id.dev || st.Ino != c.id.ino || st.Size != c.size {
		return nil, st, tree.ErrChanged
	}
	file, err := rootfs.Reopen(fd) // at the path there may be a FIFO by now
	if err != nil {
		return nil, st, fmt.Errorf("open: %w", err)
	}
	return os.NewFile(uintptr(file), c.name), st, nil
}

// chunk is the number of bytes of each side that are compared at once.
const chunk = 64 << 10

var buffers = sync.Pool{New: func() any { return new([2 * chunk]byte) }}

// equal reads two files up to their first difference.
func equal(ctx context.Context, a, b io.Reader) (bool, error) {
	buf := buffers.Get().(*[2 * chunk]byte)
	defer buffers.Put(buf)
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
