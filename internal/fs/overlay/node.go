package overlay

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A node is the entry of one layer at a place.
type node struct {
	place
	stat   unix.Stat_t
	target string            // of a symbolic link
	xattrs map[string]string // all of them, including those of overlayfs
	prefix string            // of the attributes of overlayfs
}

// errAbsent is returned if a layer has no entry at a place.
var errAbsent = errors.New("absent")

// node reads the entry at a name in a directory. The error is errAbsent if there is
// none.
func (l *layers) node(dir handle, name string) (node, error) {
	n := node{place: dir.child(name), prefix: l.prefix}
	fd, err := openAt(dir.fd, name, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return n, errAbsent
	}
	if err != nil {
		return n, fmt.Errorf("look at it: %w", err)
	}
	defer unix.Close(fd)
	return n, n.read(fd)
}

// root reads the root directory of a layer.
func (l *layers) root(layer int) (node, error) {
	n := node{place: place{layer: layer}, prefix: l.prefix}
	return n, n.read(l.fds[layer])
}

func (n *node) read(fd int) error {
	if err := unix.Fstat(fd, &n.stat); err != nil {
		return fmt.Errorf("look at it: %w", err)
	}
	var err error
	if n.kind() == unix.S_IFLNK {
		if n.target, err = readLink(fd); err != nil {
			return fmt.Errorf("read link: %w", err)
		}
	}
	if n.xattrs, err = readXattrs(fd); err != nil {
		return fmt.Errorf("read extended attributes: %w", err)
	}
	return nil
}

func (n *node) kind() uint32    { return n.stat.Mode & unix.S_IFMT }
func (n *node) isDir() bool     { return n.kind() == unix.S_IFDIR }
func (n *node) isRegular() bool { return n.kind() == unix.S_IFREG }

// mark returns an attribute of overlayfs.
func (n *node) mark(name string) (string, bool) {
	value, ok := n.xattrs[n.prefix+name]
	return value, ok
}

// isWhiteout reports whether a node is a whiteout in either form: a character
// device 0/0, or an empty file with an attribute, which an overlay in another
// overlay needs because it cannot make the device there (Linux 6.7).
func (n *node) isWhiteout() bool {
	if n.kind() == unix.S_IFCHR {
		return n.stat.Rdev == 0
	}
	_, ok := n.mark("whiteout")
	return ok && n.isRegular() && n.stat.Size == 0
}

// isOpaque reports whether a directory hides those below it. The value "x" is
// different: it marks a directory with whiteouts of the second form.
func (n *node) isOpaque() bool {
	value, _ := n.mark("opaque")
	return value == "y" && n.isDir()
}

// isMetacopy reports whether only the metadata of a file was copied up.
func (n *node) isMetacopy() bool {
	_, ok := n.mark("metacopy")
	return ok && n.isRegular()
}

// isSameFile reports whether two nodes are one inode.
func (n *node) isSameFile(other *node) bool {
	return n.stat.Dev == other.stat.Dev && n.stat.Ino == other.stat.Ino
}

// isUnchanged reports whether a file was not changed between two calls of stat. A
// program can reset mtime with utimensat(2), but not ctime.
func isUnchanged(a, b *unix.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// entry describes the node at a path of the merged tree.
func (n *node) entry(path string) (tree.Entry, error) {
	e := tree.Entry{
		Path: path, Mode: n.stat.Mode & 0o7777, UID: n.stat.Uid, GID: n.stat.Gid,
		Target: n.target, ModTime: time.Unix(n.stat.Mtim.Unix()),
	}
	switch n.kind() {
	case unix.S_IFREG:
		e.Kind, e.Size = tree.Regular, n.stat.Size
	case unix.S_IFDIR:
		e.Kind = tree.Directory
	case unix.S_IFLNK:
		e.Kind = tree.Symlink
	case unix.S_IFIFO:
		e.Kind = tree.FIFO
	case unix.S_IFSOCK:
		e.Kind = tree.Socket
	case unix.S_IFCHR:
		e.Kind = tree.CharDevice
	case unix.S_IFBLK:
		e.Kind = tree.BlockDevice
	default:
		return e, fmt.Errorf("of type %#o", n.kind())
	}
	if e.Kind == tree.CharDevice || e.Kind == tree.BlockDevice {
		e.Major, e.Minor = unix.Major(n.stat.Rdev), unix.Minor(n.stat.Rdev)
	}
	for name, value := range n.xattrs {
		if isForeign(name) {
			continue
		}
		if e.Xattrs == nil {
			e.Xattrs = make(map[string]string)
		}
		e.Xattrs[name] = value
	}
	return e, nil
}

// isForeign reports whether an attribute belongs to the machine and not to the
// tree, as package tree does: the overlay's own, and SELinux labels.
func isForeign(name string) bool {
	return strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") || name == "security.selinux"
}

func readLink(fd int) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(fd, "", buf)
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// readXattrs reads all extended attributes through /proc, since a handle that
// is open with O_PATH has no other way.
func readXattrs(fd int) (map[string]string, error) {
	file := "/proc/self/fd/" + strconv.Itoa(fd)
	var short [256]byte
	list, err := growing(short[:], func(buf []byte) (int, error) { return unix.Listxattr(file, buf) })
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(list) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	attrs := make(map[string]string)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		value, err := growing(short[:], func(buf []byte) (int, error) { return unix.Getxattr(file, name, buf) })
		if errors.Is(err, unix.ENODATA) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		attrs[name] = string(value)
	}
	return attrs, nil
}

// growing calls read with a larger buffer as long as it fails with ERANGE. An attribute has at most 64 KiB, and so has the list of their names.
func growing(buf []byte, read func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := read(buf)
		if errors.Is(err, unix.ERANGE) && len(buf) < 1<<20 {
			buf = make([]byte, len(buf)*8)
			continue
		}
		return buf[:max(n, 0)], err
	}
}
