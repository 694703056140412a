package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// openDeep opens a clean path without following any link, also one that is
// longer than the 4096 bytes the kernel takes at once: a process can build such
// directories one step at a time, and must not be able to hide in them.
func (r *Root) openDeep(path string, flags int) (int, error) {
	const most = 4000
	dir := -1
	for rest := path; ; {
		from := r.fd
		if dir >= 0 {
			from = dir
		}
		if len(rest) <= most {
			fd, err := openat2(from, rest, flags|unix.O_NOFOLLOW, 0, refuseLinks)
			closeDir(dir)
			return fd, err
		}
		// A name has at most 255 bytes, so that there is a slash to cut at.
		cut := strings.LastIndexByte(rest[:most], '/')
		if cut <= 0 {
			closeDir(dir)
			return -1, unix.ENAMETOOLONG
		}
		fd, err := openat2(from, rest[:cut], unix.O_PATH|unix.O_DIRECTORY, 0, refuseLinks)
		closeDir(dir)
		if err != nil {
			return -1, err
		}
		dir, rest = fd, strings.TrimLeft(rest[cut:], "/")
	}
}

func closeDir(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
