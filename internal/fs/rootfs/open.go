package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// ErrNotRegular is returned for something other than a regular file, which was not
// opened.
var ErrNotRegular = errors.New("not a regular file")

// Open opens a regular file for reading, following symbolic links within the root.
// Reading does not change the access time if the kernel allows that.
func (r *Root) Open(name string) (*os.File, error) {
	f, _, err := r.openFile(name, followLinks)
	return f, err
}

// openFile also returns the status of the file when it was opened.
func (r *Root) openFile(name string, resolve uint64) (*os.File, status, error) {
	fd, err := r.open(name, unix.O_PATH, resolve)
	if err != nil {
		return nil, status{}, fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	st, err := statFD(fd)
	if err != nil {
		return nil, status{}, fmt.Errorf("open %s: %w", name, err)
	}
	if kind := st.kind(); kind != tree.Regular {
		return nil, status{}, fmt.Errorf("open %s: a %s: %w", name, kind, ErrNotRegular)
	}
	file, err := Reopen(fd)
	if err != nil {
		return nil, status{}, fmt.Errorf("open %s: %w", name, err)
	}
	return os.NewFile(uintptr(file), path.Clean("/"+name)), st, nil
}

// OpenDir opens a directory, following symbolic links within the root, to be
// passed to another process or to New.
func (r *Root) OpenDir(name string) (*os.File, error) {
	fd, err := r.open(name, unix.O_RDONLY|unix.O_DIRECTORY, followLinks)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), path.Clean("/"+name)), nil
}

// ReadDir describes the entries of a directory, in tree order, without reading
// content. Symbolic links to the directory are followed within the root; the
// entries have the path that was given. Entries that are removed at the same time
// are omitted.
func (r *Root) ReadDir(name string) ([]tree.Entry, error) {
	dir, err := r.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", name, err)
	}
	slices.Sort(names)
	entries := make([]tree.Entry, 0, len(names))
	sub := Root{fd: int(dir.Fd())}
	for _, base := range names {
		e, _, err := sub.lstat(base, refuseLinks)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read directory %s: %w", name, err)
		}
		e.Path = path.Join("/", name, base)
		entries = append(entries, e)
	}
	return entries, nil
}
