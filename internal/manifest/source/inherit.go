package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Inherited finds files with one name that are for the folder that they are in and for all
// folders below it: .adamant.yaml. It reads each of them once. It may be used by several
// goroutines.
//
// Those of parents are found up to the root of the Git repository that a folder is in.
// Outside of a repository they are found up to the folder on the command line, because
// anybody could have written one in a parent such as /tmp.
type Inherited[T any] struct {
	Name  string
	Limit int64    // bytes of a file
	Paths []string // on the command line
	Parse func(file string, data []byte) (T, error)

	mu      sync.Mutex
	folders map[string]inherited[T]
	reach   map[string]bool // whether the parents of a folder below it are looked at
	files   []Found[T]
}

// A Found is a file that Inherited found.
type Found[T any] struct {
	Folder string // absolute
	Value  T
}

type inherited[T any] struct {
	values []T // the nearest first
	err    error
}

func (i inherited[T]) result() ([]T, error) {
	if i.err != nil {
		return nil, i.err
	}
	return i.values, nil
}

// Of returns the values that apply to the files of a folder, the nearest first.
func (i *Inherited[T]) Of(folder string) ([]T, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.folders == nil {
		if err := i.begin(); err != nil {
			return nil, err
		}
	}
	if found, ok := i.folders[folder]; ok { // as it was written: Abs would cost more than all the rest
		return found.result()
	}
	full, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	found := i.of(full)
	i.folders[folder] = found
	return found.result()
}

// All returns all files that were found, in the order in which that happened.
func (i *Inherited[T]) All() []Found[T] {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.files
}

// begin notes the folders on the command line.
func (i *Inherited[T]) begin() error {
	i.folders, i.reach = map[string]inherited[T]{}, map[string]bool{}
	for _, path := range i.Paths {
		full, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		i.reach[full] = true
	}
	return nil
}

func (i *Inherited[T]) of(folder string) inherited[T] {
	if found, ok := i.folders[folder]; ok {
		return found
	}
	var found inherited[T]
	if parent := filepath.Dir(folder); !isRepository(folder) && i.reaches(parent) {
		found = i.of(parent)
	}
	if _, err := os.Lstat(filepath.Join(folder, i.Name)); !errors.Is(err, fs.ErrNotExist) {
		value, err := i.read(folder)
		found.values = append([]T{value}, found.values...)
		if found.err == nil {
			found.err = err
		}
	}
	i.folders[folder] = found
	return found
}

// reaches reports whether a folder is in a repository, or below a folder on the command
// line.
func (i *Inherited[T]) reaches(folder string) bool {
	reaches, ok := i.reach[folder]
	if !ok {
		parent := filepath.Dir(folder)
		reaches = isRepository(folder) || parent != folder && i.reaches(parent)
		i.reach[folder] = reaches
	}
	return reaches
}

func isRepository(folder string) bool {
	_, err := os.Lstat(filepath.Join(folder, ".git"))
	return err == nil
}

// Covers reports whether all files of a folder are below the paths on the command line.
func (i *Inherited[T]) Covers(folder string) bool {
	for _, path := range i.Paths {
		full, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(full, folder); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}

func (i *Inherited[T]) read(folder string) (T, error) {
	var value T
	name := filepath.Join(folder, i.Name)
	data, err := ReadRegular(name, i.Limit)
	if err != nil {
		return value, err
	}
	value, err = i.Parse(shortened(name), data)
	if err == nil {
		i.files = append(i.files, Found[T]{folder, value})
	}
	return value, err
}

// shortened returns a path relative to the working directory if it is below it.
func shortened(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return name
	}
	rel, err := filepath.Rel(dir, name)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return name
	}
	return rel
}

// ReadRegular reads a regular file of at most limit bytes. It does not wait for a FIFO.
func ReadRegular(name string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return data, nil
}
