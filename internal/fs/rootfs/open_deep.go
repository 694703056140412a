package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// maxPart is the length of a path, in bytes, that is opened at once.
const maxPart = 4000

// openDeep opens a clean path without following symbolic links. The path may be
// longer than PATH_MAX (4096 bytes): a process can create such directories step by
// step, and must not be able to hide files in them.
func (r *Root) openDeep(path string, flags int) (int, error) {
	dir := -1
	for rest := path; ; {
		from := r.fd
		if dir >= 0 {
			from = dir
		}
		if len(rest) <= maxPart {
			fd, err := openat2(from, rest, flags|unix.O_NOFOLLOW, 0, refuseLinks)
			closeDir(dir)
			return fd, err
		}
		// There is a slash: a name has at most 255 bytes.
		cut := strings.LastIndexByte(rest[:maxPart], '/')
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
