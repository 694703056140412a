package drift

import (
	"errors"
	"io"
	"iter"
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Side is one of the two trees that are compared.
type Side string

// The sides of a comparison.
const (
	Want Side = "want" // as it should be
	Got  Side = "got"  // as it is
)

// Options configures Compare. The zero value compares the entries of the trees
// alone, classifies by path and makes no text diffs.
type Options struct {
	// Equal decides whether a regular file has the same content on both sides.
	// It is called only if the sizes are equal and a digest is missing. An error,
	// or a nil Equal, makes the path unknown.
	Equal func(path string) (bool, error)

	// Content opens a regular file of one side, to classify it by its head and to
	// compare its text line by line. A file that cannot be opened has no diff.
	Content func(side Side, path string) (io.ReadCloser, error)

	// Unknowns are the paths of either side that could not be read. Each stands for
	// everything below it: nothing there counts as a change.
	Unknowns []tree.Unknown

	// DiffLimit is the maximum size of one text diff in bytes: 8 KiB if 0, no diffs
	// if negative.
	DiffLimit int
}

// Compare returns the differences between the wanted and the actual tree. Both may be
// partial if they omit the same paths.
//
// A regular file with equal sizes but a missing digest is never taken to be equal:
// Options.Equal decides, or it is unknown. Hard links and modification times are not
// compared. A renamed directory is deleted at one path and added at the other, with
// everything below it.
func Compare(want, got tree.Tree, opts Options) Report {
	c := comparison{opts: opts, blind: map[string]bool{}}
	for _, u := range opts.Unknowns {
		c.blind[u.Path] = true
		c.unknown(u.Path, u.Err)
	}
	for w, g := range pairs(want, got) {
		c.compare(w, g)
	}
	c.explain()
	return c.report()
}

type comparison struct {
	opts     Options
	blind    map[string]bool
	changes  []Change
	unknowns []tree.Unknown
}

// pairs joins two trees by path, in tree order. One of each pair may be nil.
func pairs(want, got tree.Tree) iter.Seq2[*tree.Entry, *tree.Entry] {
	return func(yield func(w, g *tree.Entry) bool) {
		next, stop := iter.Pull(got.All())
		defer stop()
		g, more := next()
		for w := range want.All() {
			for more && tree.ComparePaths(g.Path, w.Path) < 0 {
				left := g
				if !yield(nil, &left) {
					return
				}
				g, more = next()
			}
			if !more || g.Path != w.Path {
				if !yield(&w, nil) {
					return
				}
				continue
			}
			both := g
			if !yield(&w, &both) {
				return
			}
			g, more = next()
		}
		for ; more; g, more = next() {
			left := g
			if !yield(nil, &left) {
				return
			}
		}
	}
}

func (c *comparison) compare(want, got *tree.Entry) {
	switch {
	case want == nil:
		if !c.isBlind(got.Path) {
			c.changes = append(c.changes, Change{Path: got.Path, Kind: Added, Got: got})
		}
	case got == nil:
		if !c.isBlind(want.Path) {
			c.changes = append(c.changes, Change{Path: want.Path, Kind: Deleted, Want: want})
		}
	case c.isBlind(want.Path):
	default:
		if fields := c.fields(want, got); len(fields) > 0 {
			c.changes = append(c.changes, Change{Path: want.Path, Kind: Changed, Fields: fields, Want: want, Got: got})
		}
	}
}

// fields returns the fields that differ. It calls Options.Equal for content without a
// digest. If that fails, the path is an unknown in addition to its other changes.
func (c *comparison) fields(want, got *tree.Entry) []string {
	fields := want.Diff(*got)
	if !unread(want, got) {
		return fields
	}
	equal, err := false, errors.New("its content was not read")
	if c.opts.Equal != nil {
		equal, err = c.opts.Equal(want.Path)
	}
	if err != nil {
		c.unknown(want.Path, err)
	}
	// want.Diff counts unread content as different.
	if equal || err != nil {
		fields = slices.DeleteFunc(fields, func(f string) bool { return f == tree.FieldContent })
	}
	return fields
}

// unread reports whether only the content itself can show that two files differ.
func unread(want, got *tree.Entry) bool {
	return want.Kind == tree.Regular && got.Kind == tree.Regular &&
		want.Size == got.Size && want.Size > 0 &&
		(want.Digest == "" || got.Digest == "")
}

func (c *comparison) unknown(path string, err error) {
	c.unknowns = append(c.unknowns, tree.Unknown{Path: path, Err: err})
}

// isBlind reports whether a path or a directory above it could not be read.
func (c *comparison) isBlind(p string) bool {
	if len(c.blind) == 0 {
		return false
	}
	for !c.blind[p] {
		if p == "/" || p == "." {
			return false
		}
		p = path.Dir(p)
	}
	return true
}

func (c *comparison) report() Report {
	byPath := func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) }
	slices.SortStableFunc(c.unknowns, byPath)
	return Report{Changes: c.changes, Unknowns: slices.CompactFunc(c.unknowns, tree.Unknown.Equal)}
}
