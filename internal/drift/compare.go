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

// Options configures a comparison. The zero value compares the entries of the trees
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
	c := NewComparison(opts.DiffLimit)
	blind := map[string]bool{}
	for _, u := range opts.Unknowns {
		blind[u.Path] = true
		c.Unknown(u.Path, u.Err)
	}
	for w, g := range pairs(want, got) {
		p := Pair{Want: w, Got: g}
		if isBlind(blind, p.path()) {
			continue
		}
		if opts.Equal != nil {
			p.Equal = func() (bool, error) { return opts.Equal(p.path()) }
		}
		if opts.Content != nil {
			p.Content = func(side Side) (io.ReadCloser, error) { return opts.Content(side, p.path()) }
		}
		c.Add(p)
	}
	return c.Report()
}

// A Pair is what both sides have at one path.
type Pair struct {
	Want, Got *tree.Entry // nil if the side has nothing there

	// Path returns the whole path, of Size bytes, if the entries have only a part of
	// it. It is called only for a path that is listed.
	Path func() string
	Size int
	// From returns the path from which a directory was renamed, or "". It may be nil.
	From func() string
	// Equal and Content are those of Options for this path. They may be nil.
	Equal   func() (bool, error)
	Content func(Side) (io.ReadCloser, error)
}

// path returns the path that the entries have.
func (p Pair) path() string {
	if p.Want != nil {
		return p.Want.Path
	}
	return p.Got.Path
}

// A Comparison compares one path after the other, in any order. Its memory is bounded,
// however many paths differ and however long they are.
type Comparison struct {
	diffLimit int
	list      list
	unknowns  []tree.Unknown
	last      tree.Unknown // that was added
	more      int          // unknowns that are not listed
}

// NewComparison returns a comparison without any path. The limit is Options.DiffLimit.
func NewComparison(diffLimit int) *Comparison {
	if diffLimit == 0 {
		diffLimit = defaultDiff
	}
	return &Comparison{diffLimit: diffLimit, list: newList()}
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

// Add compares the two sides of a path.
func (c *Comparison) Add(p Pair) {
	ch := Change{Path: p.path(), Want: p.Want, Got: p.Got}
	switch {
	case p.Want == nil:
		ch.Kind = Added
	case p.Got == nil:
		ch.Kind = Deleted
	default:
		ch.Kind = Changed
		if ch.Fields = c.fields(p); len(ch.Fields) == 0 {
			return
		}
	}
	ch.Class = class(&ch, p.Content)
	ch.Severity, ch.Reason = grade(ch)
	c.list.add(ch, p)
}

// fields returns the fields that differ. It calls Options.Equal for content without a
// digest. If that fails, the path is an unknown in addition to its other changes.
func (c *Comparison) fields(p Pair) []string {
	fields := p.Want.Diff(*p.Got)
	if !unread(p.Want, p.Got) {
		return fields
	}
	equal, err := false, errors.New("its content was not read")
	if p.Equal != nil {
		equal, err = p.Equal()
	}
	if err != nil {
		c.Unknown(p.path(), err)
	}
	// Diff counts unread content as different.
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

// maxUnknowns is the number of unknowns that a report lists.
const maxUnknowns = 1000

// Unknown adds a path that could not be read. It stands for everything below it.
func (c *Comparison) Unknown(path string, err error) {
	u := tree.Unknown{Path: path, Err: err}
	if c.last.Err != nil && c.last.Equal(u) {
		return
	}
	c.last = u
	if len(c.unknowns) == maxUnknowns {
		c.more++
		return
	}
	c.unknowns = append(c.unknowns, u)
}

// isBlind reports whether a path or a directory above it is in a set.
func isBlind(blind map[string]bool, p string) bool {
	if len(blind) == 0 {
		return false
	}
	for !blind[p] {
		if p == "/" || p == "." {
			return false
		}
		p = path.Dir(p)
	}
	return true
}

// Report returns what was found so far, with text diffs. It is called once.
func (c *Comparison) Report() Report {
	found, omitted := c.list.take()
	c.explain(found)
	byPath := func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) }
	slices.SortStableFunc(c.unknowns, byPath)
	r := Report{
		Unknowns: slices.CompactFunc(c.unknowns, tree.Unknown.Equal),
		Omitted:  omitted, OmittedUnknowns: c.more,
	}
	slices.SortFunc(found, func(a, b listed) int { return tree.ComparePaths(a.Path, b.Path) })
	for _, f := range found {
		r.Changes = append(r.Changes, f.Change)
	}
	return r
}
