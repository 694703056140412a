package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// block writes an added node as block YAML. The cursor is where its first
// character goes, indent columns into the line.
func (l layout) block(b *strings.Builder, n *node, indent int) {
	for i := 0; n.kind == mappingNode && i+1 < len(n.children); i += 2 {
		if i > 0 {
			l.newLine(b, indent)
		}
		b.WriteString(scalarText(n.children[i], false))
		b.WriteByte(':')
		l.blockValue(b, n.children[i+1], indent)
	}
	for i, child := range n.children {
		if n.kind != sequenceNode {
			break
		}
		if i > 0 {
			l.newLine(b, indent)
		}
		l.blockItem(b, child, indent)
	}
}

func (l layout) newLine(b *strings.Builder, indent int) {
	b.WriteString(l.newline)
	b.WriteString(strings.Repeat(" ", indent))
}

// blockValue writes the part after "key:" of a key that is indented by indent
// columns.
func (l layout) blockValue(b *strings.Builder, n *node, indent int) {
	switch {
	case n.kind == scalarNode || n.style == flowStyle || len(n.children) == 0:
		b.WriteByte(' ')
		l.flow(b, n, false)
	case n.kind == mappingNode:
		l.newLine(b, indent+l.step)
		l.block(b, n, indent+l.step)
	default:
		l.newLine(b, indent+l.dash)
		l.block(b, n, indent+l.dash)
	}
}

// blockItem writes a list item whose dash is indented by indent columns.
func (l layout) blockItem(b *strings.Builder, n *node, indent int) {
	b.WriteByte('-')
	if n.kind == scalarNode || n.style == flowStyle || len(n.children) == 0 {
		b.WriteByte(' ')
		l.flow(b, n, false)
		return
	}
	b.WriteString(strings.Repeat(" ", l.content-1))
	l.block(b, n, indent+l.content)
}

// flow writes an added node on one line.
func (l layout) flow(b *strings.Builder, n *node, quoted bool) {
	switch n.kind {
	case scalarNode:
		b.WriteString(scalarText(n, quoted))
	case sequenceNode:
		b.WriteByte('[')
		for i, child := range n.children {
			if i > 0 {
				b.WriteString("," + l.space)
			}
			l.flow(b, child, quoted)
		}
		b.WriteByte(']')
	case mappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.children); i += 2 {
			if i > 0 {
				b.WriteString("," + l.space)
			}
			l.flowPair(b, n.children[i], n.children[i+1], quoted)
		}
		b.WriteByte('}')
	}
}

func (l layout) flowPair(b *strings.Builder, k, v *node, quoted bool) {
	b.WriteString(scalarText(k, quoted) + ":")
	if quoted {
		b.WriteString(l.space)
	} else {
		b.WriteByte(' ')
	}
	l.flow(b, v, quoted)
}

// pretty writes an added node as indented JSON. margin is the white space at
// the beginning of its line.
func (l layout) pretty(b *strings.Builder, n *node, margin string) {
	if n.kind == scalarNode || len(n.children) == 0 {
		l.flow(b, n, true)
		return
	}
	inner := l.newline + margin + l.unit
	if n.kind == sequenceNode {
		b.WriteByte('[')
		for i, child := range n.children {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(inner)
			l.pretty(b, child, margin+l.unit)
		}
		b.WriteString(l.newline + margin + "]")
		return
	}
	b.WriteByte('{')
	for i := 0; i+1 < len(n.children); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(inner + scalarText(n.children[i], true) + ":" + l.space)
		l.pretty(b, n.children[i+1], margin+l.unit)
	}
	b.WriteString(l.newline + margin + "}")
}

// scalarText writes an added scalar, as JSON if quoted.
func scalarText(n *node, quoted bool) string {
	if n.tag != "!!str" {
		return n.text
	}
	if !quoted && n.style == plainStyle && plainSafe(n.text) {
		return n.text
	}
	return quoteText(n.text)
}

// plainPattern matches strings that need no quotes in any context.
var plainPattern = regexp.MustCompile(`^-{0,2}[A-Za-z0-9/._]([A-Za-z0-9/._@+=-]|:[A-Za-z0-9/._@+=-])*$`)

// lookalike matches strings that some parser takes for a date or a number,
// which may be in base 60.
var lookalike = regexp.MustCompile(`^[-+.0-9][-+.0-9_:eETZ]*$`)

func plainSafe(s string) bool {
	if !plainPattern.MatchString(s) || lookalike.MatchString(s) || strings.HasPrefix(s, "---") {
		return false
	}
	_, isString := resolvePlain(s).(string)
	return isString
}

// quoteText writes a string in double quotes, which JSON and YAML parse alike.
func quoteText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
