package manifest

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A text is the bytes of a file with an index of its lines, to find the ends of
// values. The YAML parser returns only the line and column where a value
// begins, so its end is found by reading the text from there.
type text struct {
	data  []byte
	lines []int // byte offset of each line's first character

	// The last position that was looked up. Without it, a file of one long line
	// would be read from its beginning for each value.
	line0, col0, offset0 int
}

func newText(data []byte) *text {
	t := &text{data: data, lines: []int{0}}
	for i := 0; i < len(data); {
		n := breakLen(data[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		t.lines = append(t.lines, i)
	}
	return t
}

// breakLen returns the length of the line break at the beginning of s, 0 if
// there is none. YAML 1.1 has NEL, LS and PS as well.
func breakLen(s []byte) int {
	switch s[0] {
	case '\n':
		return 1
	case '\r':
		if len(s) > 1 && s[1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if len(s) > 1 && s[1] == 0x85 {
			return 2
		}
	case 0xE2:
		if len(s) > 2 && s[1] == 0x80 && (s[2] == 0xA8 || s[2] == 0xA9) {
			return 3
		}
	}
	return 0
}

// line returns the text of a line, counted from 1, without its break.
func (t *text) line(number int) string {
	if number < 1 || number > len(t.lines) {
		return ""
	}
	return string(t.data[t.lines[number-1]:t.lineEnd(t.lines[number-1])])
}

// offset converts a line and a column in characters, both from 1, to a byte
// offset, or -1 if the file has no such position.
func (t *text) offset(line, col int) int {
	if line < 1 || line > len(t.lines) || col < 1 {
		return -1
	}
	at, have := t.lines[line-1], 1
	if line == t.line0 && col >= t.col0 {
		at, have = t.offset0, t.col0
	}
	for ; have < col; have++ {
		if at >= len(t.data) {
			return -1
		}
		_, n := utf8.DecodeRune(t.data[at:])
		at += n
	}
	t.line0, t.col0, t.offset0 = line, col, at
	return at
}

// lineEnd returns the offset of the next line break after at, or of the end of
// the file.
func (t *text) lineEnd(at int) int {
	for ; at < len(t.data); at++ {
		if breakLen(t.data[at:]) > 0 {
			return at
		}
	}
	return at
}

// lineEndWithin is lineEnd, but searches no further than limit.
func (t *text) lineEndWithin(at, limit int) int {
	for ; at < len(t.data) && at < limit; at++ {
		if breakLen(t.data[at:]) > 0 {
			return at
		}
	}
	return at
}

// nextLine returns the offset of the line after the one with at.
func (t *text) nextLine(at int) int {
	at = t.lineEnd(at)
	if at < len(t.data) {
		at += breakLen(t.data[at:])
	}
	return at
}

// spaceLen returns the length of the blank, tab or line break at s.
func spaceLen(s []byte) int {
	if s[0] == ' ' || s[0] == '\t' {
		return 1
	}
	return breakLen(s)
}

// skipSpace returns the offset of the first character from at on that is not
// white space and not in a comment.
func (t *text) skipSpace(at int) int {
	for at < len(t.data) {
		if t.data[at] == '#' {
			at = t.lineEnd(at)
			continue
		}
		n := spaceLen(t.data[at:])
		if n == 0 {
			return at
		}
		at += n
	}
	return at
}

// delimit sets a node's start after its anchor and tag, and its end. The start
// is -1 if the text there is not as expected.
func (t *text) delimit(n *node) {
	n.first = n.start
	if n.start < 0 {
		return
	}
	if n.kind != aliasNode {
		n.start = t.skipProperties(n)
	}
	end := -1
	switch n.kind {
	case aliasNode:
		end = t.aliasEnd(n)
	case scalarNode:
		end = t.scalarEnd(n)
	default:
		end = t.collectionEnd(n)
	}
	if end < 0 {
		n.start = -1
	}
	n.end = end
}

func (t *text) skipProperties(n *node) int {
	at := n.start
	for at < len(t.data) && (t.data[at] == '&' || t.data[at] == '!') {
		if t.data[at] == '!' && n.tag == "" {
			n.tag = "!" // which the YAML parser drops, though it means text
		}
		for at < len(t.data) && spaceLen(t.data[at:]) == 0 {
			if n.style == flowStyle && (t.data[at] == '{' || t.data[at] == '[') {
				break
			}
			at++
		}
		// An empty scalar ends with its properties: what follows the white
		// space belongs to the next node, unless it is another property.
		if n.kind == scalarNode && n.style == plainStyle && n.text == "" {
			if next := t.skipSpace(at); next < len(t.data) && (t.data[next] == '&' || t.data[next] == '!') && t.lineEndWithin(at, next) == next {
				at = next
			}
			continue
		}
		at = t.skipSpace(at)
	}
	return at
}

func (t *text) aliasEnd(n *node) int {
	if n.start >= len(t.data) || t.data[n.start] != '*' {
		return -1
	}
	at := n.start + 1
	for at < len(t.data) && spaceLen(t.data[at:]) == 0 && !strings.ContainsRune(",[]{}", rune(t.data[at])) {
		at++
	}
	return at
}

func (t *text) scalarEnd(n *node) int {
	if n.style != plainStyle && n.start >= len(t.data) {
		return -1
	}
	switch n.style {
	case doubleStyle:
		return t.quotedEnd(n.start, '"')
	case singleStyle:
		return t.quotedEnd(n.start, '\'')
	case blockStyle:
		return t.blockEnd(n)
	}
	return t.match(n.text, n.start)
}

func (t *text) quotedEnd(at int, quote byte) int {
	if t.data[at] != quote {
		return -1
	}
	for at++; at < len(t.data); at++ {
		switch {
		case t.data[at] == '\\' && quote == '"':
			at++
		case t.data[at] == quote && quote == '\'' && at+1 < len(t.data) && t.data[at+1] == quote:
			at++
		case t.data[at] == quote:
			return at + 1
		}
	}
	return -1
}

// match returns the end of a text that begins at at, with any white space in
// place of its white space, because YAML folds lines.
func (t *text) match(text string, at int) int {
	rest := []byte(text)
	for len(rest) > 0 {
		if n := spaceLen(rest); n > 0 {
			rest = rest[n:]
			continue
		}
		for at < len(t.data) {
			n := spaceLen(t.data[at:])
			if n == 0 {
				break
			}
			at += n
		}
		if at >= len(t.data) || t.data[at] != rest[0] {
			return -1
		}
		at++
		rest = rest[1:]
	}
	return at
}

// blockEnd returns the end of a block scalar: the end of its last line with
// content, without the line break.
func (t *text) blockEnd(n *node) int {
	if c := t.data[n.start]; c != '|' && c != '>' {
		return -1
	}
	header := t.lineEnd(n.start)
	indicators, _, _ := bytes.Cut(t.data[n.start:header], []byte{'#'})
	n.keep = bytes.ContainsRune(indicators, '+')
	end := header
	if strings.TrimSpace(n.text) != "" {
		end = t.match(n.text, min(header+1, len(t.data)))
		if end < 0 {
			return -1
		}
		end = t.lineEnd(end)
	}
	if !n.keep {
		return end
	}
	// With the indicator + the blank lines at the end are content.
	trailing := len(n.text) - len(strings.TrimRight(n.text, "\n"))
	for i := 1; i < trailing && end < len(t.data); i++ {
		end = t.lineEnd(t.nextLine(end))
	}
	return end
}

// collectionEnd returns the end of a mapping or sequence whose children are
// already delimited.
func (t *text) collectionEnd(n *node) int {
	if n.style != flowStyle {
		if len(n.children) == 0 {
			return -1
		}
		return n.children[len(n.children)-1].end
	}
	closer := byte('}')
	if n.kind == sequenceNode {
		closer = ']'
	}
	at := n.start + 1
	if n.start >= len(t.data) || t.data[n.start] != closer-2 {
		return -1 // a single pair in a flow sequence has no braces
	}
	if len(n.children) > 0 {
		if at = n.children[len(n.children)-1].end; at < 0 {
			return -1
		}
	}
	for at = t.skipSpace(at); at < len(t.data); at = t.skipSpace(at + 1) {
		switch t.data[at] {
		case closer:
			return at + 1
		case ',', ':', '?':
		default:
			return -1
		}
	}
	return -1
}
