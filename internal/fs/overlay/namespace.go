package overlay

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// namespace opens directories in the mount namespace and root of a process.
type namespace struct {
	root int // of the other process; -1 for our own
}

func openNamespace(pid int) (*namespace, error) {
	if pid == 0 {
		return &namespace{root: -1}, nil
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of process %d: %w", pid, err)
	}
	return &namespace{root: fd}, nil
}

func (n *namespace) Close() error {
	if n.root < 0 {
		return nil
	}
	return unix.Close(n.root)
}

// open returns a handle of a directory. Symbolic links are followed, as they
// were when the overlay was mounted.
func (n *namespace) open(dir string) (int, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC}
	at := unix.AT_FDCWD
	if n.root >= 0 {
		// RESOLVE_IN_ROOT: the paths are those of the other process, and an
		// absolute symbolic link must not lead into our own root.
		at = n.root
		how.Resolve = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	}
	fd, err := unix.Openat2(at, dir, &how)
	if err != nil {
		return -1, fmt.Errorf("open layer %s: %w", dir, err)
	}
	return fd, nil
}

// holds reports whether all directories exist, relative ones in base.
func (n *namespace) holds(base string, dirs []*string) bool {
	for _, d := range dirs {
		fd, err := n.open(under(base, *d))
		if err != nil {
			return false
		}
		unix.Close(fd)
	}
	return true
}
