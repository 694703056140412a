// Package tree describes file systems by their entries, and defines a canonical
// encoding. It is pure: package rootfs reads trees from a file system. It does not
// depend on images, overlays or drift.
package tree

import (
	"cmp"
	"fmt"
	"iter"
	"path"
	"slices"
	"sort"
	"strings"
)

// A Tree is an immutable list of entries in tree order: a directory comes before its
// entries, siblings are ordered by the bytes of their names, and the subtree of a
// directory is contiguous. The zero Tree is empty.
//
// A tree may be partial, that is, parents of an entry may be missing, if only a part
// of a file system was read. The entries must be consistent.
type Tree struct {
	entries []Entry
}

// New returns the tree of the entries, in any order. It takes ownership of the
// slice. It returns an error if an entry is malformed, appears twice, or is below an entry
// that is not a directory.
func New(entries []Entry) (Tree, error) {
	byPath := func(a, b Entry) int { return ComparePaths(a.Path, b.Path) }
	if !slices.IsSortedFunc(entries, byPath) {
		slices.SortFunc(entries, byPath)
	}
	for i := range entries {
		if err := entries[i].Validate(); err != nil {
			return Tree{}, err
		}
		if i == 0 {
			continue
		}
		// In tree order the entries below an entry follow it directly.
		switch before := &entries[i-1]; {
		case before.Path == entries[i].Path:
			return Tree{}, fmt.Errorf("entry %q appears twice", before.Path)
		case before.Kind != Directory && isBelow(entries[i].Path, before.Path):
			return Tree{}, fmt.Errorf("entry %q lies below a %s", entries[i].Path, before.Kind)
		}
	}
	return Tree{entries: entries}, nil
}

// Len returns the number of entries.
func (t Tree) Len() int { return len(t.entries) }

// All yields every entry in tree order.
func (t Tree) All() iter.Seq[Entry] { return slices.Values(t.entries) }

// Lookup returns the entry at a path. Symbolic links are not followed.
func (t Tree) Lookup(path string) (Entry, bool) {
	if i := t.Index(path); i >= 0 {
		return t.entries[i], true
	}
	return Entry{}, false
}

// At returns the entry that All yields after i others.
func (t Tree) At(i int) Entry { return t.entries[i] }

// Index returns where All yields the entry at a path, counted from 0, or -1.
func (t Tree) Index(path string) int {
	if i := t.search(path); i < len(t.entries) && t.entries[i].Path == path {
		return i
	}
	return -1
}

// Under yields the entry at a path and everything below it, in tree order.
func (t Tree) Under(path string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range t.entries[t.search(path):] {
			if e.Path != path && !isBelow(e.Path, path) || !yield(e) {
				return
			}
		}
	}
}

// Children yields the entries directly in a directory, in tree order. It skips
// over deeper subtrees by binary search.
func (t Tree) Children(dir string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		i := t.search(dir)
		if i < len(t.entries) && t.entries[i].Path == dir {
			i++
		}
		for i < len(t.entries) && isBelow(t.entries[i].Path, dir) {
			e := t.entries[i]
			if path.Dir(e.Path) != dir { // its parents are missing in a partial tree
				i++
				continue
			}
			if !yield(e) {
				return
			}
			i = t.skip(i)
		}
	}
}

// search returns where the entry with a path is or would be.
func (t Tree) search(path string) int {
	return sort.Search(len(t.entries), func(i int) bool {
		return ComparePaths(t.entries[i].Path, path) >= 0
	})
}

// skip returns the index of the first entry after i that is not below it.
func (t Tree) skip(i int) int {
	top := t.entries[i].Path
	rest := t.entries[i+1:]
	return i + 1 + sort.Search(len(rest), func(k int) bool { return !isBelow(rest[k].Path, top) })
}

// ComparePaths orders two clean absolute paths in tree order, in which a slash
// sorts before every other byte. It returns -1, 0 or 1.
func ComparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := a[i], b[i]; x != y {
			switch {
			case x == '/':
				return -1
			case y == '/':
				return 1
			}
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// isBelow reports whether a path lies below a directory, itself excluded.
func isBelow(path, dir string) bool {
	if dir == "/" {
		return len(path) > 1
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && strings.HasPrefix(path, dir)
}
