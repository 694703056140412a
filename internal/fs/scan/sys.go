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

// Names are passed to the kernel without a copy, with the NUL byte after them in a
// record. Allocating a string for each would cost as much as the system call.

var noName = []byte{0}

// statAt calls statx(2) for a name in a directory, or for fd itself if the name is
// empty.
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

// reopen opens the file of an O_PATH descriptor for reading. The caller has checked
// that it is a regular file. Reading does not change the access time if the kernel
// allows that.
func (w *worker) reopen(fd int) (int, error) {
	w.number = append(strconv.AppendInt(w.number[:0], int64(fd), 10), 0)
	file, err := openAt(w.descriptors, w.number, unix.O_RDONLY|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // not the owner, and without CAP_FOWNER
		return openAt(w.descriptors, w.number, unix.O_RDONLY)
	}
	return file, err
}

// xattrs returns the extended attributes of a file that is open for reading. Most
// files have none, which one call finds out.
func xattrs(file int) (map[string]string, error) {
	n, err := unix.Flistxattr(file, nil)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil, nil
	}
	return rootfs.Xattrs(file)
}

// gone converts the error for a name that no longer exists to tree.ErrChanged.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("gone: %w", tree.ErrChanged)
	}
	return err
}

// now returns the time of the coarse clock, which file systems use for ctime, so that
// the ctime of a later change is not before it.
func now() (unix.Timespec, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &t)
	return t, err
}
