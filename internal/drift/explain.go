package drift

import (
	"cmp"
	"io"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

const (
	// headSize is how much of a file, in bytes, is read for its class.
	headSize = 512
	// textLimit is the largest file, in bytes, that is compared line by line.
	textLimit = 256 << 10
	// defaultDiff is the default of Options.DiffLimit.
	defaultDiff = 8 << 10
	// allDiffs bounds the bytes of all diffs of one report.
	allDiffs = 4 << 20
	// allTexts bounds the bytes of all files that are compared line by line for one
	// report: a container can write many files whose diffs are short.
	allTexts = 8 << 20
)

// explain gives the changes their text diffs. Diffs are made for the most severe changes
// first, until they are too many.
func (c *Comparison) explain(found []listed) {
	if c.diffLimit < 0 {
		return
	}
	slices.SortFunc(found, func(a, b listed) int {
		return cmp.Or(a.Severity.Compare(b.Severity), tree.ComparePaths(a.Path, b.Path))
	})
	left, texts := allDiffs, int64(allTexts)
	for i := range found {
		ch := &found[i]
		if ch.pair.Content == nil || !hasText(&ch.Change) {
			continue
		}
		if left <= 0 || texts <= 0 {
			ch.Diff = "(no diff: the report is large enough)\n"
			continue
		}
		for _, e := range []*tree.Entry{ch.Want, ch.Got} {
			if e != nil && e.Kind == tree.Regular {
				texts -= min(e.Size, textLimit)
			}
		}
		ch.Diff = ch.diff(c.diffLimit)
		left -= len(ch.Diff)
	}
}

// opener opens a regular file of one side, see Options.Content. It may be nil.
type opener func(Side) (io.ReadCloser, error)

// class returns the more significant one of the classes that a path had and has.
func class(ch *Change, open opener) Class {
	switch {
	case ch.Want == nil:
		return classify(*ch.Got, open.head(Got, ch.Got))
	case ch.Got == nil:
		return classify(*ch.Want, open.head(Want, ch.Want))
	}
	had, has := classify(*ch.Want, open.head(Want, ch.Want)), classify(*ch.Got, open.head(Got, ch.Got))
	if had.rank() < has.rank() {
		return had
	}
	return has
}

func (o opener) head(side Side, e *tree.Entry) []byte {
	if o == nil || e.Kind != tree.Regular || e.Size == 0 {
		return nil
	}
	head, err := o.read(side, headSize)
	if err != nil {
		return nil // the class then follows from the path
	}
	return head
}

// read returns at most limit bytes of a file.
func (o opener) read(side Side, limit int64) ([]byte, error) {
	r, err := o(side)
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read from: nothing can be lost
	return io.ReadAll(io.LimitReader(r, limit))
}

// hasText reports whether a change is one of content that could be text.
func hasText(ch *Change) bool {
	regular := func(e *tree.Entry) bool { return e != nil && e.Kind == tree.Regular }
	if ch.Kind == Changed && regular(ch.Want) && regular(ch.Got) {
		return slices.Contains(ch.Fields, tree.FieldContent)
	}
	return regular(ch.Want) || regular(ch.Got)
}

// diff compares the two sides of a change line by line.
func (f *listed) diff(limit int) string {
	before, err := f.source(Want, f.Want)
	if err != nil {
		return noDiff("%v", err)
	}
	after, err := f.source(Got, f.Got)
	if err != nil {
		return noDiff("%v", err)
	}
	if before.isBinary || after.isBinary {
		return noDiff("binary: %s → %s", before.words(), after.words())
	}
	if before.isLarge || after.isLarge {
		return noDiff("too large to compare line by line: %s → %s", before.words(), after.words())
	}
	return unified(shortPath(f.Path), before, after, limit)
}

func (f *listed) source(side Side, e *tree.Entry) (source, error) {
	if e == nil || e.Kind != tree.Regular {
		return source{isAbsent: true}, nil
	}
	t := source{size: e.Size, isLarge: e.Size > textLimit}
	limit := int64(textLimit)
	if t.isLarge {
		limit = headSize
	}
	content, err := opener(f.pair.Content).read(side, limit)
	if err != nil && t.isLarge {
		return t, nil // it would not be compared either
	}
	if err != nil {
		return source{}, err
	}
	t.isBinary = isBinary(content)
	t.content = string(content)
	return t, nil
}

// shortPath returns a path for the header of a diff: of one longer than PATH_MAX, which no
// program can open, only both ends.
func shortPath(path string) string {
	const most, end = 4096, 256
	if len(path) <= most {
		return path
	}
	return path[:end] + "/…/" + path[len(path)-end:]
}
