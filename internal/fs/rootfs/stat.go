package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// status is the result of statx(2) on an open file.
type status struct {
	unix.Statx_t
}

func statFD(fd int) (status, error) {
	var st status
	const mask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID
	for {
		err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, mask, &st.Statx_t)
		if !errors.Is(err, unix.EINTR) {
			return st, err
		}
	}
}

// inode identifies a file on this machine, for as long as it is open.
type inode struct {
	major, minor uint32
	ino          uint64
}

func (s *status) inode() inode { return inode{s.Dev_major, s.Dev_minor, s.Ino} }

// unchanged reports whether content and metadata are the same in a later status. A
// program can reset mtime with utimensat(2), but not ctime.
func (s *status) unchanged(later *status) bool {
	return s.inode() == later.inode() && s.Size == later.Size && s.Mtime == later.Mtime && s.Ctime == later.Ctime
}

func (s *status) kind() tree.Kind { return KindOf(s.Mode) }

// KindOf returns the kind of a mode of statx(2), 0 for one that Linux does not have.
func KindOf(mode uint16) tree.Kind {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return tree.Regular
	case unix.S_IFDIR:
		return tree.Directory
	case unix.S_IFLNK:
		return tree.Symlink
	case unix.S_IFCHR:
		return tree.CharDevice
	case unix.S_IFBLK:
		return tree.BlockDevice
	case unix.S_IFIFO:
		return tree.FIFO
	case unix.S_IFSOCK:
		return tree.Socket
	}
	return 0
}

// entryOf describes an open file, which may be open with O_PATH only. Its
// content is not read.
func entryOf(fd int, name string, st *status, overlayXattrs bool) (tree.Entry, error) {
	e := tree.Entry{
		Path: name, Kind: st.kind(), Mode: uint32(st.Mode) & 0o7777, UID: st.Uid, GID: st.Gid,
		ModTime: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)),
	}
	var err error
	switch e.Kind {
	case tree.Regular:
		e.Size = int64(st.Size)
	case tree.Symlink:
		if e.Target, err = ReadLink(fd); err != nil {
			return e, fmt.Errorf("read link %s: %w", name, err)
		}
	case tree.CharDevice, tree.BlockDevice:
		e.Major, e.Minor = st.Rdev_major, st.Rdev_minor
	}
	if e.Xattrs, err = xattrsFD(fd, overlayXattrs); err != nil {
		return e, fmt.Errorf("read extended attributes of %s: %w", name, err)
	}
	return e, nil
}

// xattrsFD reads all extended attributes of an open file, also of one open
// with O_PATH. A file system without any yields nil.
func xattrsFD(fd int, overlay bool) (map[string]string, error) {
	file := procPath(fd)
	size, err := unix.Listxattr(file, nil) // most files have none
	if errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := growing(size, func(buf []byte) (int, error) { return unix.Listxattr(file, buf) })
	if err != nil {
		return nil, err
	}
	var attrs map[string]string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if name == "" || ignoredXattr(name, overlay) {
			continue
		}
		value, err := growing(256, func(buf []byte) (int, error) { return unix.Getxattr(file, name, buf) })
		if errors.Is(err, unix.ENODATA) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = string(value)
	}
	return attrs, nil
}

// ignoredXattr reports whether an attribute belongs to the machine and not to the
// tree: those of overlayfs, and SELinux labels, which the machine's policy sets.
func ignoredXattr(name string, overlay bool) bool {
	if strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "user.overlay.") {
		return !overlay
	}
	return name == "security.selinux"
}

// IsXattr reports whether an extended attribute of that name is one of those that
// Xattrs returns.
func IsXattr(name string) bool { return !ignoredXattr(name, false) }

// growing calls read with a larger buffer as long as it fails with ERANGE.
// Attributes are at most 64 KiB each, and so is their list.
func growing(size int, read func([]byte) (int, error)) ([]byte, error) {
	for {
		buf := make([]byte, size)
		n, err := read(buf)
		if errors.Is(err, unix.ERANGE) && size < 1<<20 {
			size *= 4
			continue
		}
		return buf[:max(n, 0)], err
	}
}

// Lstat describes the entry at a path. It does not read content or follow a symbolic
// link in the last component. The error wraps fs.ErrNotExist if there is none.
func (r *Root) Lstat(name string) (tree.Entry, error) {
	e, _, err := r.lstat(name, followLinks)
	return e, err
}

func (r *Root) lstat(name string, resolve uint64) (tree.Entry, status, error) {
	fd, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, resolve)
	if err != nil {
		return tree.Entry{}, status{}, fmt.Errorf("look at %s: %w", name, err)
	}
	defer unix.Close(fd)
	st, err := statFD(fd)
	if err != nil {
		return tree.Entry{}, status{}, fmt.Errorf("look at %s: %w", name, err)
	}
	e, err := entryOf(fd, path.Clean("/"+name), &st, false)
	return e, st, err
}

// Readlink returns the target of the symbolic link at a path as it is stored.
func (r *Root) Readlink(name string) (string, error) {
	e, err := r.Lstat(name)
	if err != nil {
		return "", err
	}
	if e.Kind != tree.Symlink {
		return "", fmt.Errorf("read link %s: a %s: %w", name, e.Kind, unix.EINVAL)
	}
	return e.Target, nil
}

// Resolve is Tree.Resolve for the current content of the root.
func (r *Root) Resolve(name string) (canonical string, exists bool, err error) {
	return tree.ResolveWith(name, func(p string) (tree.Entry, bool, error) {
		e, _, err := r.lstat(p, refuseLinks)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return tree.Entry{}, false, nil
		}
		return e, err == nil, err
	})
}
