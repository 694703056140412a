package volume

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// An EmptyDir is a directory that lives as long as its pod.
type EmptyDir struct {
	Memory  bool   // a tmpfs instead of a directory on disk
	Size    int64  // maximum size of a tmpfs in bytes, 0 for the kernel's default
	Mode    *int32 // permission and sticky bits of a directory on disk; nil means 0777
	FSGroup *int64 // group of the volume
}

// Make creates the directory dir and its parents. On disk, dir belongs to root and
// has mode 0777; a tmpfs has the kernel's default mode 01777. An FSGroup adds the
// group, group access and the setgid bit.
func (e EmptyDir) Make(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	mode := os.FileMode(0o777)
	if e.Mode != nil {
		mode = fileMode(*e.Mode)
	}
	// Chmod, because the umask of this process applies to MkdirAll.
	if err := os.Chmod(dir, mode); err != nil {
		return err
	}
	if e.Memory {
		if err := mountTmpfs(dir, e.Size); err != nil {
			return err
		}
	}
	return setGroupBelow(dir, e.FSGroup, false)
}

func fileMode(mode int32) os.FileMode {
	m := os.FileMode(mode & 0o777)
	if mode&0o1000 != 0 {
		m |= os.ModeSticky
	}
	return m
}

// mountTmpfs mounts a tmpfs. Its content is never swapped out, because it may
// contain Secrets, if the kernel supports noswap (6.4).
func mountTmpfs(dir string, size int64) error {
	var options string
	if size > 0 {
		options = "size=" + strconv.FormatInt(size, 10)
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, join(options, "noswap"))
	if errors.Is(err, unix.EINVAL) { // unknown option
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}

func join(options, more string) string {
	if options == "" {
		return more
	}
	return options + "," + more
}
