package drift

import (
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
)

// explain gives every change its class, its severity and its text diff. Diffs
// are made for the most severe changes first, until they are too many.
func (c *comparison) explain() {
	for i := range c.changes {
		ch := &c.changes[i]
		ch.Class = c.class(ch)
		ch.Severity, ch.Reason = grade(*ch)
	}
	limit := c.opts.DiffLimit
	if limit == 0 {
		limit = defaultDiff
	}
	if limit < 0 || c.opts.Content == nil {
		return
	}
	left := allDiffs
	for _, ch := range c.bySeverity() {
		if !hasText(ch) {
			continue
		}
		if left <= 0 {
			ch.Diff = "(no diff: the report is large enough)\n"
			continue
		}
		ch.Diff = c.diff(ch, limit)
		left -= len(ch.Diff)
	}
}

func (c *comparison) bySeverity() []*Change {
	sorted := make([]*Change, len(c.changes))
	for i := range c.changes {
		sorted[i] = &c.changes[i]
	}
	slices.SortStableFunc(sorted, func(a, b *Change) int { return a.Severity.Compare(b.Severity) })
	return sorted
}

// class returns the more significant one of the classes that a path had and has.
func (c *comparison) class(ch *Change) Class {
	switch {
	case ch.Want == nil:
		return c.classOf(Got, ch.Got)
	case ch.Got == nil:
		return c.classOf(Want, ch.Want)
	}
	had, has := c.classOf(Want, ch.Want), c.classOf(Got, ch.Got)
	if had.rank() < has.rank() {
		return had
	}
	return has
}

func (c *comparison) classOf(side Side, e *tree.Entry) Class {
	return classify(*e, c.head(side, e))
}

func (c *comparison) head(side Side, e *tree.Entry) []byte {
	if c.opts.Content == nil || e.Kind != tree.Regular || e.Size == 0 {
		return nil
	}
	head, err := c.read(side, e.Path, headSize)
	if err != nil {
		return nil // the class then follows from the path
	}
	return head
}

// read returns at most limit bytes of a file.
func (c *comparison) read(side Side, path string, limit int64) ([]byte, error) {
	r, err := c.opts.Content(side, path)
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
func (c *comparison) diff(ch *Change, limit int) string {
	before, err := c.source(Want, ch.Want)
	if err != nil {
		return noDiff("%v", err)
	}
	after, err := c.source(Got, ch.Got)
	if err != nil {
		return noDiff("%v", err)
	}
	if before.isBinary || after.isBinary {
		return noDiff("binary: %s → %s", before.words(), after.words())
	}
	if before.isLarge || after.isLarge {
		return noDiff("too large to compare line by line: %s → %s", before.words(), after.words())
	}
	return unified(ch.Path, before, after, limit)
}

func (c *comparison) source(side Side, e *tree.Entry) (source, error) {
	if e == nil || e.Kind != tree.Regular {
		return source{isAbsent: true}, nil
	}
	t := source{size: e.Size, isLarge: e.Size > textLimit}
	limit := int64(textLimit)
	if t.isLarge {
		limit = headSize
	}
	content, err := c.read(side, e.Path, limit)
	if err != nil {
		return source{}, err
	}
	t.isBinary = isBinary(content)
	t.content = string(content)
	return t, nil
}
