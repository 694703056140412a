package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A source reads files within limits.
type source struct {
	ctx   context.Context
	files int
	bytes int
}

// read returns a file's content.
func (s *source) read(name string) ([]byte, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if s.files++; s.files > maxFiles {
		return nil, exceed(Origin{File: name}, "more than %d files", maxFiles)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	// Opening a named pipe could block forever.
	if !info.Mode().IsRegular() {
		return nil, fail(Origin{File: name}, "", "no regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fail(Origin{File: name}, "", "larger than %d MiB", maxFile>>20)
	}
	if s.bytes += len(data); s.bytes > maxBytes {
		return nil, exceed(Origin{File: name}, "all files together are larger than %d MiB", maxBytes>>20)
	}
	return data, nil
}

// ignoredSuffixes are suffixes of files in a directory that are not inventories: the
// default of Ansible's INVENTORY_IGNORE_EXTS.
var ignoredSuffixes = []string{
	".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
}

// ignoredNames are directories beside inventories that hold no inventories.
var ignoredNames = []string{dirGroupVars, dirHostVars, "vars_plugins"}

// inventoriesIn returns the inventories in and below a directory, in the order of their
// names. faults are those of entries that cannot be read.
func (s *source) inventoriesIn(dir string, depth int) (all []string, faults []error, err error) {
	if depth > maxDepth {
		return nil, nil, exceed(Origin{File: dir}, "directories lie more than %d deep", maxDepth)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || slices.Contains(ignoredNames, name) ||
			slices.ContainsFunc(ignoredSuffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
			continue
		}
		found, more, err := s.inventoriesAt(filepath.Join(dir, name), depth+1)
		if endsReading(err) {
			return nil, nil, err
		} else if err != nil {
			more = append(more, located(err, filepath.Join(dir, name)))
		}
		all, faults = append(all, found...), append(faults, more...)
	}
	return all, faults, nil
}

// inventoriesAt returns a file, or the inventories in a directory.
func (s *source) inventoriesAt(name string, depth int) (all []string, faults []error, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil, nil
	}
	return s.inventoriesIn(name, depth)
}

// isMissing reports whether a file does not exist.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
