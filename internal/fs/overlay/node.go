package overlay

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A node is the entry of one layer at a place.
type node struct {
	place
	stat   unix.Stat_t
	target string            // of a symbolic link
	xattrs map[string]string // including those of overlayfs
	marks  *marks
}

// errAbsent is returned if a layer has no entry at a place.
var errAbsent = errors.New("absent")

// node reads the entry at a name in a directory. The error is errAbsent if there is
// none.
func (l *layers) node(dir handle, name string) (node, error) {
	n := node{place: place{layer: dir.layer, dir: dir.trail, name: name}, marks: &l.marks}
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
	n := node{place: place{layer: layer}, marks: &l.marks}
	return n, n.read(l.fds[layer])
}

func (n *node) read(fd int) error {
	if err := unix.Fstat(fd, &n.stat); err != nil {
		return fmt.Errorf("look at it: %w", err)
	}
	n.id = inode{n.stat.Dev, n.stat.Ino}
	var err error
	if n.kind() == unix.S_IFLNK {
		if n.target, err = rootfs.ReadLink(fd); err != nil {
			return fmt.Errorf("read link: %w", err)
		}
	}
	if n.xattrs, err = rootfs.LayerXattrs(fd); err != nil {
		return fmt.Errorf("read extended attributes: %w", err)
	}
	return nil
}

func (n *node) kind() uint32    { return n.stat.Mode & unix.S_IFMT }
func (n *node) isDir() bool     { return n.kind() == unix.S_IFDIR }
func (n *node) isRegular() bool { return n.kind() == unix.S_IFREG }

// mark returns an attribute of overlayfs.
func (n *node) mark(name string) (string, bool) {
	value, ok := n.xattrs[n.marks.prefix+name]
	return value, ok
}

// isWhiteout reports whether a node is a whiteout in either form: a character
// device 0/0, or an empty file with an attribute (Linux 6.7), for an overlay in
// another overlay, where the device cannot be made.
func (n *node) isWhiteout() bool {
	if n.kind() == unix.S_IFCHR {
		return n.stat.Rdev == 0 && !(n.layer == 0 && n.marks.plainUpper)
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
	switch e.Kind = rootfs.KindOf(uint16(n.stat.Mode)); e.Kind {
	case 0:
		return e, fmt.Errorf("of type %#o", n.kind())
	case tree.Regular:
		e.Size = n.stat.Size
	case tree.CharDevice, tree.BlockDevice:
		e.Major, e.Minor = unix.Major(n.stat.Rdev), unix.Minor(n.stat.Rdev)
	}
	for name, value := range n.xattrs {
		if !n.marks.allXattrs && !rootfs.IsXattr(name) {
			continue
		}
		if e.Xattrs == nil {
			e.Xattrs = make(map[string]string)
		}
		e.Xattrs[name] = value
	}
	return e, nil
}
