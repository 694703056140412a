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

// ReadLink returns the target of a symbolic link that is open with O_PATH.
func ReadLink(fd int) (string, error) {
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

// Reopen opens the file of an O_PATH descriptor for reading. The caller has checked
// that it is a regular file: opening another kind could block or have an effect. Reading
// does not change the access time if the kernel allows that.
func Reopen(fd int) (int, error) {
	file, err := reopen(fd, unix.O_RDONLY|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // not the owner, and without CAP_FOWNER
		return reopen(fd, unix.O_RDONLY)
	}
	return file, err
}

// reopen opens the file of an O_PATH descriptor, even if its name was removed or
// replaced since.
func reopen(fd, flags int) (int, error) {
	for {
		n, err := unix.Open(procPath(fd), flags|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Xattrs reads the extended attributes that Entry.Xattrs has, of an open file
// that may be open with O_PATH only.
func Xattrs(fd int) (map[string]string, error) { return xattrsFD(fd, false) }

// LayerXattrs is Xattrs with the attributes of overlayfs, for reading a layer.
func LayerXattrs(fd int) (map[string]string, error) { return xattrsFD(fd, true) }
