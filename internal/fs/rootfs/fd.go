package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// OpenDeep opens a directory to list it, without following any link, also one
// whose path is longer than the kernel takes at once. The descriptor is the
// caller's to close. Listing it leaves its access time alone where the kernel
// permits that.
func (r *Root) OpenDeep(dir string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY
	fd, err := r.openDeep(dir, flags|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // not the owner, and without CAP_FOWNER
		return r.openDeep(dir, flags)
	}
	return fd, err
}

// Xattrs reads the extended attributes that Entry.Xattrs has, of an open file
// that may be open with O_PATH only.
func Xattrs(fd int) (map[string]string, error) { return xattrsFD(fd, false) }
