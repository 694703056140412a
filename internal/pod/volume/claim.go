package volume

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// SetGroup gives a volume that outlives its pods, and everything in it, to a group, as
// a kubelet does for an fsGroup: the group may read and write files, and directories
// become setgid. With onMismatch it changes nothing if the volume's root is the group's
// already.
//
// Other pods may write the volume at the same time. So SetGroup never follows a path of
// theirs: it neither leaves dir nor crosses into other file systems.
func SetGroup(dir string, group int, onMismatch bool) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root)
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return err
	}
	const wanted = unix.S_ISGID | 0o770
	if onMismatch && int(st.Gid) == group && st.Mode&wanted == wanted {
		return nil
	}
	g := grouping{root: root, group: group, device: st.Dev, todo: []string{"."}}
	for len(g.todo) > 0 {
		last := len(g.todo) - 1
		name := g.todo[last]
		g.todo = g.todo[:last]
		if err := g.directory(name); err != nil {
			return fmt.Errorf("give %s to group %d: %w", dir, group, err)
		}
	}
	// The root comes last: after a crash in between, onMismatch must not take the rest
	// for done.
	return setGroupOf(root, group)
}

// grouping is the state of one SetGroup.
type grouping struct {
	root, group int
	device      uint64
	todo        []string // directories whose entries are to be changed
}

// directory changes the entries of a directory, and adds its directories to todo.
func (g *grouping) directory(name string) error {
	fd, err := openBelow(g.root, name)
	if err != nil && name != "." && moved(err) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1024)
		for _, base := range names {
			if err := g.entry(fd, name, base); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (g *grouping) entry(dir int, parent, base string) error {
	fd, err := unix.Openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Dev != g.device {
		return nil // another file system is mounted here
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		name := path.Join(parent, base)
		if len(name) >= maxDeepPath {
			return ErrTooDeep
		}
		g.todo = append(g.todo, name)
	}
	return setGroupOf(fd, g.group)
}

// setGroupOf changes an open file. The descriptor was opened with O_PATH, and chmod of a
// path would follow a symbolic link.
func setGroupOf(fd, group int) error {
	if err := unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	mode := st.Mode&0o7777 | 0o660
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return nil // a symbolic link has no mode of its own
	case unix.S_IFDIR:
		mode |= unix.S_ISGID | 0o110
	}
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}
