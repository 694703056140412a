package rootfs

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Root is the root directory of a foreign file system. All access is by open
// directories and openat2(2) (Linux 5.6), so that symbolic links, "..", and
// directories that are moved at the same time never lead out of it. Paths are
// absolute in the root; symbolic links are followed as by a process with this root
// directory.
//
// The content of a Root is not trusted. FIFOs, sockets and devices are described but
// never opened, because that could block or have an effect. The methods may be
// called concurrently, except Close. They need /proc.
type Root struct {
	fd int
}

// Open opens a directory as a root. It follows symbolic links in dir, including
// /proc/PID/root.
func Open(dir string) (*Root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open root %s: %w", dir, err)
	}
	return &Root{fd: fd}, nil
}

// New returns a root of an open directory. The caller still owns fd.
func New(fd int) (*Root, error) {
	// Not dup(2): O_DIRECTORY refuses a file, and O_PATH applies to the result.
	own, err := unix.Openat(fd, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open root from descriptor %d: %w", fd, err)
	}
	return &Root{fd: own}, nil
}

// Close releases the root. Files opened through it stay open.
func (r *Root) Close() error { return unix.Close(r.fd) }

// How a path in a root is resolved. Neither leaves the root or follows the magic
// links of /proc.
const (
	followLinks = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	refuseLinks = followLinks | unix.RESOLVE_NO_SYMLINKS
)

// ErrThroughLink is returned for a path that leads through a symbolic link where
// it must not.
var ErrThroughLink = errors.New("leads through a symbolic link")

// open opens a path with the given flags and way of resolution.
func (r *Root) open(path string, flags int, resolve uint64) (int, error) {
	var fd int
	var err error
	if resolve == refuseLinks && len(path) > maxPart {
		fd, err = r.openDeep(path, flags)
	} else {
		fd, err = openat2(r.fd, path, flags, 0, resolve)
	}
	if resolve == refuseLinks && errors.Is(err, unix.ELOOP) {
		err = fmt.Errorf("%w: %w", ErrThroughLink, err)
	}
	return fd, err
}

// openat2 retries after EINTR and after EAGAIN. The kernel returns EAGAIN if a
// rename or mount anywhere on the machine raced with the resolution of "..", see
// openat2(2).
func openat2(dirfd int, path string, flags int, mode uint32, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Mode: uint64(mode), Resolve: resolve}
	for attempt := 0; ; attempt++ {
		fd, err := unix.Openat2(dirfd, path, &how)
		if attempt < 128 && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) {
			continue
		}
		return fd, err
	}
}

// procPath returns a path of an open descriptor, for calls that take only a path.
// The magic link resolves to the open file itself, even if that is a symbolic link.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
