// Package deeptree makes directories that are nested so deeply that they have no path
// that a system call accepts.
package deeptree

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Make makes depth directories in each other below root. Each has a name of size bytes.
func Make(root string, depth, size int) error {
	name := strings.Repeat("d", size)
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i := 0; i < depth && err == nil; i++ {
		next := -1
		if err = unix.Mkdirat(dir, name, 0o755); err == nil {
			next, err = unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		unix.Close(dir)
		dir = next
	}
	if err == nil {
		err = unix.Close(dir)
	}
	return err
}
