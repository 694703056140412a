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
	Size    int64  // bytes that a tmpfs may hold, 0 for the kernel's default
	Mode    *int32 // permission and sticky bits of a directory on disk; nil means 0777
	FSGroup *int64 // group that gets the volume
}

// Make makes the directory dir, whose parents are made too. On disk it is
// root's with mode 0777; a tmpfs has the kernel's 01777. An fsGroup adds its
// group, group access and the setgid bit.
func (e EmptyDir) Make(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	mode := os.FileMode(0o777)
	if e.Mode != nil {
		mode = fileMode(*e.Mode)
	}
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

// mountTmpfs mounts a tmpfs whose content is never swapped out where the
// kernel can do that (6.4).
func mountTmpfs(dir string, size int64) error {
	var options string
	if size > 0 {
		options = "size=" + strconv.FormatInt(size, 10)
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, join(options, "noswap"))
	if errors.Is(err, unix.EINVAL) {
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
