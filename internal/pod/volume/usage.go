package volume

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrTooDeep is returned when the path of a directory is longer than maxDeepPath.
var ErrTooDeep = errors.New("directories are nested too deep")

// maxDeepPath bounds the length of a directory's path, in bytes, and with it the
// cost of opening the directory: 64 calls, because a call takes at most PATH_MAX
// bytes.
const maxDeepPath = 64 * unix.PathMax

// Usage returns the disk space of the files below dir, in bytes. It does not cross
// into other file systems and does not leave dir, even if a container moves or
// replaces directories at the same time. Files that are removed at the same time
// are not counted.
func Usage(dir string) (int64, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root)
	u := usage{root: root, linked: map[uint64]bool{}, todo: []string{"."}}
	for len(u.todo) > 0 {
		last := len(u.todo) - 1
		name := u.todo[last]
		u.todo = u.todo[:last]
		if err := u.add(name); err != nil {
			return u.total, fmt.Errorf("measure %s: %w", dir, err)
		}
	}
	return u.total, nil
}

// usage is the state of one Usage.
type usage struct {
	root   int
	device uint64          // of dir
	linked map[uint64]bool // inodes with several names that were counted
	todo   []string        // directories
	total  int64
}

// add counts a directory and its entries, and adds its directories to todo.
func (u *usage) add(name string) error {
	fd, err := openBelow(u.root, name)
	if err != nil && name != "." && moved(err) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if name == "." {
		u.device = st.Dev
	}
	if st.Dev != u.device {
		return nil
	}
	u.total += st.Blocks * 512
	for {
		names, err := dir.Readdirnames(1024)
		for _, base := range names {
			if err := u.addEntry(fd, name, base); err != nil {
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

// openBelow opens a directory below root, in several steps if its path is longer than
// PATH_MAX. It follows no symbolic links.
func openBelow(root int, name string) (int, error) {
	at := root
	for {
		step, flags, rest := name, unix.O_RDONLY, ""
		if len(name) >= unix.PathMax {
			cut := strings.LastIndexByte(name[:unix.PathMax-1], '/')
			step, flags, rest = name[:cut], unix.O_PATH, name[cut+1:]
		}
		fd, err := unix.Openat2(at, step, &unix.OpenHow{
			Flags:   uint64(flags | unix.O_DIRECTORY | unix.O_CLOEXEC),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
		})
		if at != root {
			unix.Close(at)
		}
		if err != nil || rest == "" {
			return fd, err
		}
		at, name = fd, rest
	}
}

// addEntry counts an entry of a directory, or adds it to todo if it is a directory
// itself.
func (u *usage) addEntry(dir int, parent, base string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case st.Dev != u.device: // another file system is mounted here
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		name := path.Join(parent, base)
		if len(name) >= maxDeepPath {
			return ErrTooDeep
		}
		u.todo = append(u.todo, name)
	case st.Nlink > 1 && u.linked[st.Ino]:
	default:
		if st.Nlink > 1 {
			u.linked[st.Ino] = true
		}
		// Blocks and not the size, so that sparse files count as in du(1). The unit
		// of st_blocks is 512 bytes, see stat(3type).
		u.total += st.Blocks * 512
	}
	return nil
}

// moved reports whether an error means that a directory was removed or replaced by
// a file or a symbolic link.
func moved(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
