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

// ErrTooDeep is returned when the path of a directory is longer than maxDeepPath,
// which no honest program creates.
var ErrTooDeep = errors.New("directories are nested too deep")

// maxDeepPath bounds what one directory costs to reach, in bytes: 64 times what the
// kernel takes at once.
const maxDeepPath = 64 * unix.PathMax

// Usage is how many bytes the files below dir take on disk. It does not cross
// into other file systems and follows no link out of dir, whatever is moved
// while it looks. Files that vanish meanwhile are not counted.
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

// add counts a directory and what is in it, but not what is below that.
func (u *usage) add(name string) error {
	fd, err := u.open(name)
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

// open opens a directory, in as many steps as its path needs.
func (u *usage) open(name string) (int, error) {
	at := u.root
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
		if at != u.root {
			unix.Close(at)
		}
		if err != nil || rest == "" {
			return fd, err
		}
		at, name = fd, rest
	}
}

// addEntry counts one name in a directory; directories are for later.
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
	case st.Dev != u.device:
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
		u.total += st.Blocks * 512
	}
	return nil
}

// moved reports whether an error means that there is no such directory, or no
// directory, any more: a link may lie in its place now.
func moved(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
