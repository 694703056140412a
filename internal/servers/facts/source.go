package facts

import (
	"io"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// files is the source of facts: the files of a root, or of an Offline.
type files interface {
	// open opens a regular file for reading, following links.
	open(file string) (io.ReadCloser, error)
	// list returns the entries of a directory, in the order of the names. Their paths
	// begin with dir as it is given.
	list(dir string) ([]tree.Entry, error)
	// namesIn returns the names in a directory, in any order. It is faster than list,
	// because it does not stat.
	namesIn(dir string) []string
	// stat describes a file, following links. exists is false if it cannot be reached.
	stat(file string) (e tree.Entry, exists bool)
}

type rootFiles struct{ root *rootfs.Root }

func (r rootFiles) open(file string) (io.ReadCloser, error) {
	f, err := r.root.Open(file)
	if err != nil {
		return nil, err // not f, which would be a non-nil interface with a nil *os.File
	}
	return f, nil
}

func (r rootFiles) list(dir string) ([]tree.Entry, error) { return r.root.ReadDir(dir) }

func (r rootFiles) namesIn(dir string) []string {
	f, err := r.root.OpenDir(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // names before an error count
	return names
}

func (r rootFiles) stat(file string) (tree.Entry, bool) {
	at, exists, err := r.root.Resolve(file)
	if err != nil || !exists {
		return tree.Entry{}, false
	}
	e, err := r.root.Lstat(at)
	return e, err == nil
}
