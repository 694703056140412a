package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// BindSubpath mounts what lies at sub in the volume on target, which it makes.
// A path that is not there becomes directories with the volume's own mode. No
// link in the volume, whose content is hostile, leads out of it, and the mount
// is made from the open file, so that nothing can be swapped in between.
func BindSubpath(volume, sub, target string) error {
	if sub == "" || sub[0] == '/' || hasBackstep(sub) {
		return fmt.Errorf("subPath %q must be relative and without \"..\"", sub)
	}
	root, err := unix.Open(volume, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: volume, Err: err}
	}
	defer unix.Close(root)
	fd, err := beneath(root, sub, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		if err := mkdirs(root, sub); err != nil {
			return fmt.Errorf("make subPath %s: %w", sub, err)
		}
		fd, err = beneath(root, sub, unix.O_PATH)
	}
	if err != nil {
		return fmt.Errorf("open subPath %s: %w", sub, err)
	}
	defer unix.Close(fd)
	return bind(fd, target)
}

// beneath opens path inside root. Links are followed, but not out of root, and
// not magic ones.
func beneath(root int, path string, flags uint64) (int, error) {
	return unix.Openat2(root, path, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// mkdirs makes the directories of path that are not there.
func mkdirs(root int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return err
	}
	mode := st.Mode & 0o7777
	var done string
	for name := range strings.SplitSeq(filepath.Clean(path), "/") {
		parent, err := beneath(root, "./"+done, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		err = mkdirAt(parent, name, mode)
		unix.Close(parent)
		if err != nil {
			return err
		}
		done = filepath.Join(done, name)
	}
	return nil
}

// mkdirAt makes one directory with exactly this mode; one that is there stays
// as it is.
func mkdirAt(parent int, name string, mode uint32) error {
	err := unix.Mkdirat(parent, name, 0o700)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, mode)
}

// bind mounts an open file or directory on target.
func bind(fd int, target string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := Unmount(target); err != nil {
		return err
	}
	if err := makeTarget(target, st.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
		return err
	}
	source := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind mount on %s: %w", target, err)
	}
	return nil
}

func makeTarget(target string, directory bool) error {
	if directory {
		return os.MkdirAll(target, 0o750)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}
