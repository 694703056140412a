package scan

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Names are passed to the kernel where they are, with the NUL byte that follows
// them in a record: a string for each would cost as much as the call.

var noName = []byte{0}

// statAt looks at a name in a directory, or at fd itself if there is no name.
func statAt(fd int, name []byte, st *unix.Statx_t) error {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_EMPTY_PATH
	const mask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), flags, mask, uintptr(unsafe.Pointer(st)), 0)
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

func openAt(fd int, name []byte, flags int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return -1, errno
		}
	}
}

// reopen opens for reading what an O_PATH descriptor refers to, which is known
// to be a regular file. Its access time is left alone where that is permitted.
func (w *worker) reopen(fd int) (int, error) {
	w.number = append(strconv.AppendInt(w.number[:0], int64(fd), 10), 0)
	file, err := openAt(w.descriptors, w.number, unix.O_RDONLY|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // not the owner, and without CAP_FOWNER
		return openAt(w.descriptors, w.number, unix.O_RDONLY)
	}
	return file, err
}

// xattrs of a regular file that is open for reading. Most have none, which is
// quickly asked.
func xattrs(file int) (map[string]string, error) {
	n, err := unix.Flistxattr(file, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil, nil
	}
	return rootfs.Xattrs(file)
}

func kindOf(st *unix.Statx_t) tree.Kind {
	switch st.Mode & unix.S_IFMT {
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

// gone turns the absence of a name that was there before into tree.ErrChanged.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("gone: %w", tree.ErrChanged)
	}
	return err
}

// now is the clock by which file systems set times: coarse, so that whatever is
// changed from now on gets a ctime that is not before it.
func now() (unix.Timespec, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &t)
	return t, err
}
