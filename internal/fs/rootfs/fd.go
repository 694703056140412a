package rootfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// OpenDeep opens a directory for listing. It follows no symbolic links, and accepts
// paths longer than PATH_MAX. The caller closes the descriptor. Listing does not
// change the access time if the kernel allows that.
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
