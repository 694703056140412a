package manifest

import (
	"bytes"
	"strings"
)

func hasQuotedKeys(n *node) bool {
	return n.kind == mappingNode && len(n.children) > 0 && n.children[0].style == doubleStyle
}

// flowAdd writes children into a mapping or list in braces or brackets.
func (s *splicer) flowAdd(n, k, parent *node, front, back []*node) {
	quoted := s.quoted
	s.quoted = s.file.json || hasQuotedKeys(n) || parent != nil && parent.style == flowStyle && hasQuotedKeys(parent)
	defer func() { s.quoted = quoted }()
	if lastOf(n) == nil {
		s.flowFill(n, k, parent, back)
		return
	}
	if len(front) > 0 {
		s.flowFront(n, front)
	}
	if len(back) > 0 {
		s.flowBack(n, back)
	}
}

// flowFill writes the first children of an empty collection. A collection that
// is the value of a block mapping becomes a block, unless all children are
// scalars.
func (s *splicer) flowFill(n, k, parent *node, children []*node) {
	inner := s.file.data[n.start+1 : n.end-1]
	empty := len(bytes.TrimSpace(inner)) == 0
	if !s.file.json && empty && parent != nil && parent.style != flowStyle && !onlyScalars(n) {
		s.expand(k, n, n.start, n.end)
		return
	}
	at := n.end - 1
	if empty {
		s.add(n.start+1, n.end-1, "")
	}
	if s.layout.unit == "" || !s.file.json {
		s.add(at, at, s.entries(n.kind, children, ","+s.layout.space, ""))
		return
	}
	margin := s.file.text.margin(n.start)
	gap := s.layout.newline + margin + s.layout.unit
	s.add(at, at, gap+s.entries(n.kind, children, ","+gap, margin+s.layout.unit)+s.layout.newline+margin)
}

func onlyScalars(n *node) bool {
	for _, child := range n.children {
		if child.kind != scalarNode {
			return false
		}
	}
	return true
}

// entries writes children with a separator between them. margin is the white
// space before each child that is on its own line.
func (s *splicer) entries(kind kind, children []*node, separator, margin string) string {
	var b strings.Builder
	step := 1
	if kind == mappingNode {
		step = 2
	}
	for i := 0; i+step <= len(children); i += step {
		if i > 0 {
			b.WriteString(separator)
		}
		if kind == mappingNode {
			b.WriteString(scalarText(children[i], s.quoted) + ":")
			if s.quoted {
				b.WriteString(s.layout.space)
			} else {
				b.WriteByte(' ')
			}
		}
		value := children[i+step-1]
		if s.file.json && s.layout.unit != "" && margin != "" {
			s.layout.pretty(&b, value, margin)
		} else {
			s.layout.flow(&b, value, s.quoted)
		}
	}
	return b.String()
}

// flowFront writes items before the first of a list.
func (s *splicer) flowFront(n *node, children []*node) {
	first := firstOf(n)
	if first.opaque() {
		s.refuseAt(n, "the first item cannot be told")
		return
	}
	separator, margin := ","+s.layout.space, ""
	// A first item on its own line shows that each item has one.
	if bytes.IndexByte(s.file.data[n.start:first.first], '\n') >= 0 {
		margin = s.file.text.margin(first.first)
		separator = "," + s.layout.newline + margin
	}
	s.add(first.first, first.first, s.entries(n.kind, children, separator, margin)+separator)
}

// flowBack writes children after the last one. It keeps a trailing comma, and
// puts children on lines of their own if the last one is.
func (s *splicer) flowBack(n *node, children []*node) {
	t, last := s.file.text, lastOf(n)
	if last.opaque() {
		s.refuseAt(n, "the end of the last value cannot be told")
		return
	}
	at := last.end
	trailing := false
	if comma := t.skipSpace(at); t.data[comma] == ',' {
		at, trailing = comma+1, true
	}
	// Without a line break before the closing bracket, the items share a line.
	if bytes.IndexByte(t.data[at:n.end-1], '\n') < 0 {
		text := s.entries(n.kind, children, ","+s.layout.space, "")
		if trailing {
			s.add(at, at, " "+text+",")
		} else {
			s.add(at, at, ","+s.layout.space+text)
		}
		return
	}
	begin := last
	if n.kind == mappingNode {
		begin = lastKey(n)
	}
	margin := t.margin(begin.first)
	separator := "," + s.layout.newline + margin
	text := s.layout.newline + margin + s.entries(n.kind, children, separator, margin)
	if trailing {
		text += ","
	} else {
		s.add(at, at, ",")
	}
	s.add(t.lineEnd(at), t.lineEnd(at), text)
}

// lastKey returns the last key that is in the file.
func lastKey(n *node) *node {
	var last *node
	for i := 0; i+1 < len(n.children); i += 2 {
		if !n.children[i].made {
			last = n.children[i]
		}
	}
	return last
}
