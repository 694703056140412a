package copyup

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// The flags for resolving paths: never out of the start directory, never
// through the magic links of /proc.
const (
	followLinks = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	refuseLinks = unix.RESOLVE_NO_SYMLINKS
)

func openRoot(dir string) (int, error) {
	return unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// openat2 opens a path below a directory. It retries on EAGAIN, which is returned
// if another process moved a directory during the lookup, and on EINTR.
func openat2(dir int, name string, flags int, resolve uint64) (int, error) {
	if resolve&unix.RESOLVE_BENEATH == 0 {
		resolve |= unix.RESOLVE_IN_ROOT
	}
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: resolve}
	for attempt := 0; ; attempt++ {
		fd, err := unix.Openat2(dir, name, &how)
		if attempt < 128 && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) {
			continue
		}
		return fd, err
	}
}

// procPath returns a path for an open file, for system calls that take only a
// path.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// A status is the owner, mode, times and type of a file.
type status struct {
	mode         uint32 // with its type
	uid, gid     uint32
	size         int64
	links        uint32
	inode        inode
	rdev         uint64
	mount        uint64
	atime, mtime unix.Timespec
}

func (s *status) kind() uint32 { return s.mode & unix.S_IFMT }

// of reads the status of an open file, which may be opened with O_PATH. It
// needs Linux 5.8 for the mount ID.
func (s *status) of(fd int) error {
	var x unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &x); err != nil {
		return err
	}
	*s = status{
		mode: uint32(x.Mode), uid: x.Uid, gid: x.Gid, size: int64(x.Size), links: x.Nlink,
		inode: inode{unix.Mkdev(x.Dev_major, x.Dev_minor), x.Ino},
		rdev:  unix.Mkdev(x.Rdev_major, x.Rdev_minor), mount: x.Mnt_id,
		atime: unix.Timespec{Sec: x.Atime.Sec, Nsec: int64(x.Atime.Nsec)},
		mtime: unix.Timespec{Sec: x.Mtime.Sec, Nsec: int64(x.Mtime.Nsec)},
	}
	return nil
}
