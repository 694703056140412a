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
