package copyup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// copyDir copies the entries of a directory of the image. name is the directory's
// path in the image, rel its path below the content's root.
//
// It copies in the order of names, so that each run takes the same name of a hard
// link as the first.
func (v *volume) copyDir(src, dst int, name, rel string) error {
	dir, err := unix.Openat(src, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		v.lose(name, "its content is left out: %v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(dir)
	names, err := namesIn(dir, -1)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	slices.Sort(names)
	for _, n := range names {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		if err := v.copyEntry(dir, dst, n, path.Join(name, n), path.Join(rel, n)); err != nil {
			return err
		}
	}
	return nil
}

// copyEntry copies one entry of a directory, with all entries below it.
func (v *volume) copyEntry(srcDir, dstDir int, base, name, rel string) error {
	src, err := unix.Openat(srcDir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		v.lose(name, "left out: %v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(src)
	var st status
	if err := st.of(src); err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	switch {
	case st.mount != v.mount:
		v.say(name, "left out: it is mounted over the image")
		return nil
	case base == staging && rel == staging:
		return fmt.Errorf("%s: the image has this name, which is kept for an incomplete volume", name)
	case st.kind() == unix.S_IFDIR:
		return v.copySubdir(src, st, dstDir, base, name, rel)
	case st.kind() == unix.S_IFSOCK:
		v.say(name, "left out: a socket that nobody listens on")
		return nil
	case st.links > 1:
		return v.copyLinked(src, st, dstDir, base, name, rel)
	}
	return v.copyNew(src, st, dstDir, base, name)
}

// copySubdir makes a directory, copies its entries, and sets its owner and mode
// last: they may forbid writing to it.
func (v *volume) copySubdir(src int, st status, dstDir int, base, name, rel string) error {
	dst, err := v.makeDir(dstDir, base)
	if errors.Is(err, unix.EACCES) {
		return nil // its mode is set already, so an earlier run finished it
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	defer unix.Close(dst)
	if err := v.copyDir(src, dst, name, rel); err != nil {
		return err
	}
	return v.finishDir(src, st, dst, name)
}

// makeDir makes a directory, or opens the one that an earlier run made.
func (v *volume) makeDir(parent int, base string) (int, error) {
	if err := unix.Mkdirat(parent, base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// copyLinked links a further name to a file that the volume already has, or
// creates the first name.
func (v *volume) copyLinked(src int, st status, dstDir int, base, name, rel string) error {
	first, ok := v.links[st.inode]
	if !ok {
		v.links[st.inode] = link{path.Dir(rel), base}
		return v.copyNew(src, st, dstDir, base, name)
	}
	dir, err := v.firstLink(first)
	if err == nil {
		err = unix.Linkat(dir, first.name, dstDir, base, 0)
		unix.Close(dir)
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENOENT): // the first one was left out
		return v.copyNew(src, st, dstDir, base, name)
	case err != nil:
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

// copyNew creates an entry that is not a directory, unless it exists. An entry
// with its final name is complete.
func (v *volume) copyNew(src int, st status, dstDir int, base, name string) error {
	err := unix.Faccessat(dstDir, base, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("look for %s: %w", name, err)
	}
	if st.kind() == unix.S_IFREG {
		return v.copyFile(src, st, dstDir, base, name)
	}
	if err := v.makeSpecial(src, st); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return v.finish(src, st, dstDir, base, name)
}

// makeSpecial creates a symbolic link, FIFO or device in the staging directory.
func (v *volume) makeSpecial(src int, st status) error {
	if st.kind() != unix.S_IFLNK {
		return unix.Mknodat(v.stage, unnamed, st.kind()|0o600, int(st.rdev))
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(src, "", buf)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(buf[:n]), v.stage, unnamed)
}

// copyFile creates a regular file with its content.
func (v *volume) copyFile(src int, st status, dstDir int, base, name string) error {
	in, err := os.OpenFile(procPath(src), os.O_RDONLY, 0)
	if errors.Is(err, unix.EACCES) {
		v.lose(name, "left out: it may not be read")
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer in.Close()
	out, err := v.createUnnamed()
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	err = copyContent(v.ctx, out, in, st.size)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", name, errors.Join(err, unix.Unlinkat(v.stage, unnamed, 0)))
	}
	return v.finish(src, st, dstDir, base, name)
}

// makeFile creates the empty file that a target requests and the image does not
// have.
func (v *volume) makeFile(st status) error {
	out, err := v.createUnnamed()
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	st.mode |= unix.S_IFREG
	return v.finish(-1, st, v.root, v.target.SubPath, v.target.Path)
}

func (v *volume) createUnnamed() (*os.File, error) {
	fd, err := unix.Openat(v.stage, unnamed, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), unnamed), nil
}

// finish sets the attributes of an entry and then gives it its name.
func (v *volume) finish(src int, st status, dstDir int, base, name string) error {
	dst, err := unix.Openat(v.stage, unnamed, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(dst)
	if err := v.keep(src, st, dst, name); err != nil {
		return err
	}
	// An existing entry is one that an earlier run completed. Its content must
	// not be replaced.
	err = unix.Renameat2(v.stage, unnamed, dstDir, base, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EEXIST) {
		err = unix.Unlinkat(v.stage, unnamed, 0)
	}
	if err != nil {
		return fmt.Errorf("name %s: %w", name, err)
	}
	return nil
}
