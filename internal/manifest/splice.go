package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A splice replaces the bytes [start,end) of the file.
type splice struct {
	start, end int
	text       string
}

// A splicer converts an edited tree to splices. Those of an inner value come
// before those of the outer one, because that is their order in the file if
// both insert at the same offset.
type splicer struct {
	*editor
	splices []splice
	layout  layout
	quoted  bool // the flow collection around has quoted keys
	refused error
}

func (s *splicer) add(start, end int, text string) {
	if text != "" || start < end {
		s.splices = append(s.splices, splice{start, end, text})
	}
}

func (s *splicer) refuseAt(n *node, why string) {
	if s.refused == nil {
		s.refused = Errors{*s.refuse(n, nil, "write it in the usual way: one key a line, indented with blanks", "cannot edit here: %s", why)}
	}
}

// value collects the splices of an owned collection. k is its key and parent
// the mapping that contains it; both are nil if it is not the value of a key.
func (s *splicer) value(n, k, parent *node) {
	if isObject(n) {
		s.layout = layoutOf(s.file, n)
	}
	step := 1
	if n.kind == mappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.children); i += step {
		child := n.children[i]
		switch {
		case child.was != nil:
			s.replace(n, n.children[i-step+1], child)
		case child.made:
		case s.own[child] && n.kind == mappingNode:
			s.value(child, n.children[i-1], n)
		case s.own[child]:
			s.value(child, nil, nil)
		}
	}
	// Ops add children only at the ends.
	front, back := madeAtEnds(n, step)
	switch {
	case len(front) == 0 && len(back) == 0:
	case n.opaque():
		s.refuseAt(n, "the end of the value cannot be told")
	case n.style == flowStyle:
		s.flowAdd(n, k, parent, front, back)
	default:
		s.blockAdd(n, k, front, back)
	}
}

func isObject(n *node) bool {
	_, ok := n.get("kind")
	return ok && n.kind == mappingNode
}

// madeAtEnds returns the children that were added before and after those of the
// file.
func madeAtEnds(n *node, step int) (front, back []*node) {
	first, last := len(n.children), 0
	for i := 0; i+step <= len(n.children); i += step {
		if !n.children[i].made {
			first = min(first, i)
			last = i + step
		}
	}
	if first == len(n.children) {
		return nil, n.children
	}
	return n.children[:first], n.children[last:]
}

// firstOf and lastOf return the first and the last child that is in the file.
func firstOf(n *node) *node {
	for _, child := range n.children {
		if at := placed(child); at != nil {
			return at
		}
	}
	return nil
}

func lastOf(n *node) *node {
	for _, child := range slices.Backward(n.children) {
		if at := placed(child); at != nil {
			return at
		}
	}
	return nil
}

// placed returns the value in the file at the position of a child, or nil.
func placed(n *node) *node {
	if n.was != nil {
		return n.was
	}
	if n.made {
		return nil
	}
	return n
}

// documents writes added documents at the end of the file.
func (s *splicer) documents(added []*node) {
	if len(added) == 0 {
		return
	}
	l, end := layoutOf(s.file, s.file.roots[0]), len(s.file.data)
	var b strings.Builder
	if end > 0 && s.file.data[end-1] != '\n' {
		b.WriteString(l.newline)
	}
	for _, n := range added {
		b.WriteString("---" + l.newline)
		l.block(&b, n, 0)
		b.WriteString(l.newline)
	}
	s.add(end, end, b.String())
}

// blockAdd writes children into a block mapping or list.
func (s *splicer) blockAdd(n, k *node, front, back []*node) {
	t, l := s.file.text, s.layout
	at := firstOf(n).first
	if n.kind == sequenceNode {
		at = n.start
		l.content = t.contentAfterDash(n, l.content)
		l.dash = 0
		if k != nil {
			l.dash = s.dashBelow(k, at)
		}
	}
	indent, ok := t.indentOf(at)
	last := lastOf(n)
	// A line that begins differently, for example with "? key" or a tag, has an
	// indentation that added lines cannot follow.
	if !ok || last.opaque() || n.kind == sequenceNode && t.data[at] != '-' {
		s.refuseAt(n, "this form of block is not understood well enough")
		return
	}
	if len(front) > 0 {
		if k == nil || k.opaque() {
			s.refuseAt(n, "a list that has no key")
			return
		}
		s.add(t.lineEnd(k.end), t.lineEnd(k.end), l.lines(front, sequenceNode, indent))
	}
	if len(back) > 0 {
		end := t.skipComments(t.lineEnd(last.end), indent, n.kind)
		s.add(end, end, l.lines(back, n.kind, indent))
	}
}

// skipComments moves from the end of a value's last line past the comments
// below it that belong to the collection: those with at least the indentation
// of a mapping's keys, or more than that of a list's dashes, because a comment
// at the column of the dashes may belong to the next key.
func (t *text) skipComments(end, indent int, kind kind) int {
	if kind == sequenceNode {
		indent++
	}
	for {
		next := t.nextLine(end)
		line := t.data[next:t.lineEnd(next)]
		text := bytes.TrimLeft(line, " ")
		if len(text) == 0 || text[0] != '#' || len(line)-len(text) < indent {
			return end
		}
		end = t.lineEnd(next)
	}
}

// dashBelow returns the indentation of a list's dashes relative to its key.
func (s *splicer) dashBelow(k *node, dash int) int {
	a, ok := s.file.text.indentOf(k.first)
	b, ok2 := s.file.text.indentOf(dash)
	if !ok || !ok2 || b < a {
		return s.layout.dash
	}
	return b - a
}

// lines writes each child on its own lines, to be inserted after a line.
func (l layout) lines(children []*node, kind kind, indent int) string {
	var b strings.Builder
	l.newLine(&b, indent)
	l.block(&b, &node{kind: kind, children: children}, indent)
	return b.String()
}

// replace writes an added value in place of a scalar.
func (s *splicer) replace(parent, k, n *node) {
	t, was := s.file.text, n.was
	if was.opaque() {
		s.refuseAt(was, "the end of the value cannot be told")
		return
	}
	if n.kind != scalarNode && len(n.children) > 0 && n.style != flowStyle && parent.style != flowStyle && parent.kind == mappingNode {
		s.expand(k, n, was.start, was.end)
		return
	}
	var b strings.Builder
	// An empty value has no space after its colon or dash, without which the
	// new text would be part of the key.
	if was.start == was.end && was.start > 0 && bytes.IndexByte([]byte(":-"), t.data[was.start-1]) >= 0 {
		b.WriteByte(' ')
	}
	switch {
	// The new value keeps the quotes of the old one where they can express it.
	case n.kind == scalarNode && n.tag == "!!str" && was.style == singleStyle && !strings.ContainsAny(n.text, "'\r\n\t"):
		b.WriteString("'" + n.text + "'")
	case n.kind == scalarNode:
		b.WriteString(scalarText(n, s.file.json || n.tag == "!!str" && was.style == doubleStyle))
	case s.file.json && s.layout.unit != "":
		s.layout.pretty(&b, n, t.margin(was.start))
	default:
		s.layout.flow(&b, n, s.file.json || hasQuotedKeys(parent))
	}
	s.add(was.start, was.end, b.String())
}

// expand removes [start,end), a null or an empty collection, and writes a block
// below its key instead.
func (s *splicer) expand(k, n *node, start, end int) {
	t := s.file.text
	indent, ok := t.indentOf(k.first)
	if !ok {
		s.refuseAt(k, "the key does not begin its line")
		return
	}
	// The blanks before the value would be left at the end of the line.
	for start > 0 && start < end && (t.data[start-1] == ' ' || t.data[start-1] == '\t') {
		start--
	}
	s.add(start, end, "")
	below := indent + s.layout.step
	if n.kind == sequenceNode {
		below = indent + s.layout.dash
	}
	at := t.lineEnd(end)
	s.add(at, at, s.layout.lines(n.children, n.kind, below))
}

// join returns the file with the splices.
func (s *splicer) join() ([]byte, error) {
	slices.SortStableFunc(s.splices, func(a, b splice) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	if s.file.bom > 0 {
		out.WriteString("\xEF\xBB\xBF")
	}
	at := 0
	for _, one := range s.splices {
		if one.start < at {
			return nil, fmt.Errorf("edit %s: two edits meet at byte %d", s.file.Name, one.start)
		}
		out.Write(s.file.data[at:one.start])
		out.WriteString(one.text)
		at = one.end
	}
	out.Write(s.file.data[at:])
	return out.Bytes(), nil
}
