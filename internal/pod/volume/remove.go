package volume

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// raiseEvery is the depth at which raise moves a directory to the top. It is far
// below the number of files that a process may have open.
const raiseEvery = 100

// RemoveAll removes a directory and everything in it, at any depth. os.RemoveAll
// has one file open for each level and fails with EMFILE if a container nested
// more directories than a process may have files open. There must be no mounts
// and no running processes in dir.
func RemoveAll(dir string) error {
	for pass := 0; ; pass++ {
		err := os.RemoveAll(dir)
		if !errors.Is(err, unix.EMFILE) || pass > 1000 {
			return err
		}
		// The directories that are left are those on the way to the deep ones.
		if err := raise(dir, pass); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
}

// raise moves directories that are deep below dir to the top of dir.
func raise(dir string, pass int) error {
	top, err := openDirAt(unix.AT_FDCWD, dir)
	if err != nil {
		return err
	}
	defer top.Close()
	at, err := openDirAt(int(top.Fd()), ".")
	if err != nil {
		return err
	}
	defer func() { at.Close() }()
	for depth := 1; ; depth++ {
		name, err := firstDir(at)
		if name == "" || err != nil {
			return err
		}
		next, err := openDirAt(int(at.Fd()), name)
		if err != nil {
			return err
		}
		// next stays open across the rename, so that the descent continues in the
		// same directory.
		if depth%raiseEvery == 0 {
			err = unix.Renameat(int(at.Fd()), name, int(top.Fd()), fmt.Sprintf(".deep-%d-%d", pass, depth))
		}
		at.Close()
		if at = next; err != nil {
			return err
		}
	}
}

func openDirAt(dir int, name string) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// firstDir returns the name of a directory in dir, or "" if there is none.
func firstDir(dir *os.File) (string, error) {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		var st unix.Stat_t
		err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return "", err
		}
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return name, nil
		}
	}
	return "", nil
}
