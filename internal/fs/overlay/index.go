package overlay

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// An inode identifies a file on this machine.
type inode struct{ dev, ino uint64 }

// With index=on an overlay preserves hard links: if a file with several names was
// copied up, all names refer to the copy, although only the name that was used is
// in the upper directory. The copies are in the index, a directory in the work
// directory. Each has the file handle of its original in an attribute.

// openIndex opens the index of an overlay and returns its files by the inodes that
// they were copied from. It adds the index to the layers. The result is empty if no
// hard link was copied up.
func (l *layers) openIndex(m Mount) (map[inode]node, error) {
	dir, err := l.openIndexDir(m)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.fds = append(l.fds, dir.fd)
	fd, err := openAt(dir.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	list := listing{fd: fd}
	copies := map[inode]node{}
	for {
		name, err := list.next()
		if err != nil {
			return nil, err
		}
		if name == "" {
			return copies, nil
		}
		n, err := l.node(dir, name)
		if errors.Is(err, errAbsent) || err == nil && (n.isDir() || n.isWhiteout()) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		from, err := l.origin(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		copies[from] = n
	}
}

func (l *layers) openIndexDir(m Mount) (handle, error) {
	space, err := openNamespace(m.Namespace)
	if err != nil {
		return handle{}, err
	}
	defer space.Close()
	work, err := space.open(m.Work)
	if err != nil {
		return handle{}, err
	}
	defer unix.Close(work)
	fd, err := openAt(work, "index", unix.O_PATH|unix.O_DIRECTORY)
	return handle{layer: len(l.fds), trail: newRootTrail(), fd: fd}, err
}

// The attribute "origin" is struct ovl_fb of the kernel (fs/overlayfs/overlayfs.h):
// version, magic, length, flags and type of a byte each, the file system's
// UUID, and the handle.
const (
	originMagic  = 0xfb
	originHeader = 5 + 16
	originType   = 4
)

var errOrigin = errors.New("its origin in the lower layers cannot be found")

// origin finds the file of the lower layers that a node was copied from.
func (l *layers) origin(n node) (inode, error) {
	value, _ := n.mark("origin")
	if len(value) <= originHeader || value[1] != originMagic || int(value[2]) != len(value) {
		return inode{}, errOrigin
	}
	file := unix.NewFileHandle(int32(value[originType]), []byte(value[originHeader:]))
	for _, layer := range l.lower {
		mount, err := unix.Openat(l.fds[layer.layer], ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return inode{}, err
		}
		fd, err := unix.OpenByHandleAt(mount, file, unix.O_PATH|unix.O_CLOEXEC)
		unix.Close(mount)
		if err != nil {
			continue // the handle is of another file system
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err == nil {
			return inode{st.Dev, st.Ino}, nil
		}
	}
	return inode{}, errOrigin
}

// indexed replaces an object of the lower layers by its copy if it was copied up
// by another name.
func (w *walk) indexed(name string, o *object, lower []handle) (*object, error) {
	if o == nil || o.isDir() || o.stat.Nlink < 2 {
		return o, nil
	}
	n, ok := w.copies[o.id]
	if !ok {
		return o, nil
	}
	return w.complete(name, n, lower)
}
