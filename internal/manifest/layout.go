package manifest

import "bytes"

// A layout is the style of an object in the file, which added fields follow.
type layout struct {
	step    int    // columns that a mapping is indented below its key
	dash    int    // columns that the dashes of a list are indented below its key
	content int    // columns from a dash to the item
	newline string // "\n" or "\r\n"
	unit    string // JSON: one step of indentation; empty if it is on one line
	space   string // JSON: white space after a colon or comma
}

func layoutOf(f *File, n *node) layout {
	l := layout{step: 2, content: 2, newline: "\n", space: " "}
	if i := bytes.IndexByte(f.data, '\n'); i > 0 && f.data[i-1] == '\r' {
		l.newline = "\r\n"
	}
	if f.json {
		l.json(f, n)
		return l
	}
	foundStep, foundDash := false, false
	l.detect(f.text, n.resolved(), &foundStep, &foundDash)
	return l
}

// detect searches for a mapping below a key and a list below a key.
func (l *layout) detect(t *text, n *node, step, dash *bool) {
	if n.kind == aliasNode || n.style == flowStyle || *step && *dash {
		return
	}
	if n.kind == mappingNode {
		for i := 0; i+1 < len(n.children); i += 2 {
			k, v := n.children[i], n.children[i+1]
			if v.style == flowStyle || v.opaque() || k.opaque() || len(v.children) == 0 {
				continue
			}
			switch indent, ok := t.indentOf(k.first); {
			case !ok:
			case v.kind == mappingNode && !*step:
				if below, ok := t.indentOf(v.children[0].first); ok && below > indent {
					l.step, *step = below-indent, true
				}
			case v.kind == sequenceNode && !*dash:
				if below, ok := t.indentOf(v.start); ok && below >= indent {
					l.dash, *dash = below-indent, true
					l.content = t.contentAfterDash(v, l.content)
				}
			}
		}
	}
	for _, child := range n.children {
		l.detect(t, child, step, dash)
	}
}

// contentAfterDash returns the number of columns between the dash of a list's
// last item and the mapping that follows on the same line.
func (t *text) contentAfterDash(list *node, otherwise int) int {
	for i := len(list.children) - 1; i >= 0; i-- {
		child := list.children[i]
		if child.made || child.opaque() {
			continue
		}
		dash, ok := t.indentOf(list.start)
		content, ok2 := t.indentOf(child.first)
		if ok && ok2 && content > dash && child.kind == mappingNode && child.style != flowStyle {
			return content - dash
		}
	}
	return otherwise
}

// indentOf returns the column, from 0, of the offset at, if only blanks and
// dashes precede it on its line.
func (t *text) indentOf(at int) (int, bool) {
	if at < 0 {
		return 0, false
	}
	start := t.lineStart(at)
	for _, c := range t.data[start:at] {
		if c != ' ' && c != '-' {
			return 0, false
		}
	}
	return at - start, true
}

// lineStart returns the offset of the first character of the line of at.
func (t *text) lineStart(at int) int {
	for at > 0 && t.data[at-1] != '\n' && t.data[at-1] != '\r' {
		at--
	}
	return at
}

// margin returns the white space at the beginning of the line of at.
func (t *text) margin(at int) string {
	start := t.lineStart(at)
	end := start
	for end < len(t.data) && (t.data[end] == ' ' || t.data[end] == '\t') {
		end++
	}
	return string(t.data[start:end])
}

// json detects how a JSON document is indented and spaced.
func (l *layout) json(f *File, n *node) {
	if len(n.children) == 0 {
		return
	}
	k := n.children[0]
	if bytes.IndexByte(f.data[n.start:k.start], '\n') >= 0 {
		inner, outer := f.text.margin(k.start), f.text.margin(n.start)
		if len(inner) > len(outer) {
			l.unit = inner[len(outer):]
		}
	}
	if n.kind == mappingNode && !bytes.ContainsAny(f.data[k.end:n.children[1].start], " \t") {
		l.space = ""
	}
}
