package scan

import (
	"iter"
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Result is the result of a scan. It is immutable.
type Result struct {
	Counts   map[Class]int  // entries by class; the root is one
	Named    []File         // of another class than Compared whose content was read
	Unknowns []tree.Unknown // paths that could not be read, or changed while they were read
	Anew     int            // entries that differ from the cache
	Note     string         // why the cache was not used or not written

	top *Dir
}

// A File is a path and the digest of its content.
type File struct {
	Path   string
	Size   int64
	Digest string
}

// Digest returns the digest of all compared entries below the root.
func (r *Result) Digest() string { return r.top.digest.String() }

// List yields the entries of a directory, in the order of the names' bytes. It
// returns false if dir is not a directory, or not a compared one.
func (r *Result) List(dir string) (iter.Seq[Entry], bool) {
	d := r.find(dir)
	if d == nil {
		return nil, false
	}
	return func(yield func(Entry) bool) {
		for rec := range d.records.records() {
			if rec.kind() != 0 && !yield(rec.entry()) {
				return
			}
		}
	}, true
}

// Lookup returns the entry at a path other than the root.
func (r *Result) Lookup(file string) (Entry, bool) {
	d := r.find(path.Dir(file))
	if d == nil {
		return Entry{}, false
	}
	rec, _ := d.lookup(path.Base(file))
	if rec == nil {
		return Entry{}, false
	}
	return rec.entry(), true
}

// find returns the directory at a path, or nil if a component is not compared.
func (r *Result) find(dir string) *Dir {
	d := r.top
	for name := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if name == "" {
			continue
		}
		rec, sub := d.lookup(name)
		if sub == nil || rec.class() != Compared {
			return nil
		}
		d = sub
	}
	return d
}

// lookup returns the record of a name, and the directory if it is one.
func (d *Dir) lookup(name string) (record, *Dir) {
	subs := d.subs
	for r := range d.records.records() {
		isDir := r.kind() == tree.Directory
		switch {
		case r.kind() == 0 || string(r.name()) != name:
		case isDir:
			return r, subs[0]
		default:
			return r, nil
		}
		if isDir {
			subs = subs[1:]
		}
	}
	return nil, nil
}
