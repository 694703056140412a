package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// BindSubpath bind-mounts the path sub of a volume on target, which it creates. If
// sub does not exist, it creates directories with the mode of the volume. The
// content of the volume may be hostile: a symbolic link that leads out of the volume
// is an error, and the mount source is an open file, so that a container cannot
// replace the path between the check and the mount (CVE-2017-1002101).
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

// beneath opens path below root. It fails if a symbolic link leads out of root or
// is a magic link such as /proc/PID/root.
func beneath(root int, path string, flags uint64) (int, error) {
	// RESOLVE_BENEATH refuses magic links too, but openat2(2) reserves to change
	// that and requires the second flag.
	return unix.Openat2(root, path, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// mkdirs creates the missing directories of path.
func mkdirs(root int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return err
	}
	mode := st.Mode & 0o7777
	var done string
	for name := range strings.SplitSeq(filepath.Clean(path), "/") {
		// Each level is opened from root again, because a container may replace a
		// directory by a symbolic link at any time.
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

// mkdirAt creates a directory with a mode, regardless of the umask. It does not
// change a directory that exists.
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
	// mount(2) takes a path. This one refers to the open file, even if that was renamed.
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
