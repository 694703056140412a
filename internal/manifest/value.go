package manifest

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// A Value is one value of a Document, or the absence of one, which is the zero Value.
// Its methods follow aliases and merge keys.
type Value struct {
	n   *node
	key *node // of the mapping that it is in; nil for an item of a list
}

// Exists reports whether the value is in the document. A null exists.
func (v Value) Exists() bool { return v.n != nil }

// IsSet reports whether the value is in the document and not null. A kube-apiserver
// treats null like a missing field.
func (v Value) IsSet() bool { return v.n != nil && !v.n.isNull() }

// IsMapping reports whether the value is a mapping.
func (v Value) IsMapping() bool { return v.is(mappingNode) }

// IsList reports whether the value is a list.
func (v Value) IsList() bool { return v.is(sequenceNode) }

func (v Value) is(k kind) bool {
	n := v.n.resolved()
	return n != nil && n.kind == k
}

// Get returns the value at a path of keys.
func (v Value) Get(names ...string) Value {
	found, missing := v.Find(names...)
	if missing > 0 {
		return Value{}
	}
	return found
}

// Find follows a path of keys as far as it exists. It returns the last value and the
// number of keys that are missing.
func (v Value) Find(names ...string) (last Value, missing int) {
	for i, name := range names {
		e, ok := v.n.get(name)
		if !ok {
			return v, len(names) - i
		}
		v = Value{e.value, e.key}
	}
	return v, 0
}

// Entries yields the keys of a mapping with their values.
func (v Value) Entries() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, e := range v.n.entries() {
			if !yield(e.name, Value{e.value, e.key}) {
				return
			}
		}
	}
}

// Items yields the items of a list.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		n := v.n.resolved()
		if n == nil || n.kind != sequenceNode {
			return
		}
		for i, child := range n.children {
			if !yield(i, Value{n: child}) {
				return
			}
		}
	}
}

// Bool returns a boolean. ok is false for any other kind of value, also for the string
// "true".
func (v Value) Bool() (value, ok bool) {
	n := v.n.resolved()
	if n == nil || n.kind != scalarNode {
		return false, false
	}
	s, err := n.scalar()
	if err != nil {
		return false, false
	}
	value, ok = s.(bool)
	return value, ok
}

// IsTrue reports whether the value is the boolean true.
func (v Value) IsTrue() bool {
	value, _ := v.Bool()
	return value
}

// Text returns a string. It is empty for any other kind of value.
func (v Value) Text() string {
	s, _ := v.n.str()
	return s
}

// Scalar returns a scalar as it is written, without quotes: a quantity or a port can be
// a number or a string.
func (v Value) Scalar() string {
	n := v.n.resolved()
	if n == nil || n.kind != scalarNode {
		return ""
	}
	return n.text
}

// Describe returns the value in words: `the string "true"`.
func (v Value) Describe() string {
	if v.n == nil {
		return "nothing"
	}
	return describe(v.n.resolved())
}

// Resembles reports whether a name is another spelling of a field: it differs in upper
// and lower case or in a few letters. It is false for the field's own name.
func Resembles(name, field string) bool {
	if name == field {
		return false
	}
	limit := 1 + len(field)/8
	return editDistance(strings.ToLower(name), strings.ToLower(field), limit) <= limit
}

// A Place is the place of a value in a file.
type Place struct {
	File   string
	Line   int // from 1
	Column int // from 1, in characters

	// Excerpt is the line, or the part of a long one that is around the value. The
	// value, or its key, has Width characters after the first Before.
	Excerpt       string
	Before, Width int

	// ValuesKey is the key of the value, if the file has values of a chart: "image.tag".
	ValuesKey string
	// RenderedBy is the folder of the chart or overlay that the value was rendered from.
	RenderedBy string
	// RenderedOnly is set for a value of a rendered document whose source is not known. The
	// place is the nearest one that is.
	RenderedOnly bool
}

// PlaceOf returns the place of a value: of its key and, on the same line, the value. It
// must be a value of the document.
func (d *Document) PlaceOf(v Value) Place {
	from := v.key
	if from == nil {
		from = v.n
	}
	if from == nil {
		return Place{File: d.File, Line: d.Line, Column: 1}
	}
	end := from.end
	if v.n.end > end && v.n.kind == scalarNode || v.n.kind == aliasNode {
		end = v.n.end
	}
	if v.key == nil && v.n.kind == mappingNode && v.n.style != flowStyle && len(v.n.children) > 1 {
		// The whole of a block would be all of its lines.
		first := Value{v.n.children[1], v.n.children[0]}
		p := d.PlaceOf(first)
		p.Line, p.Column = d.Line+from.line-1, from.col
		return p
	}
	return d.place(from, end)
}

// How much of a long line is shown before and after the beginning of a value, in
// bytes.
const (
	excerptBefore = 80
	excerptAfter  = 120
)

func (d *Document) place(n *node, end int) Place {
	p := Place{File: d.File, Line: d.Line + n.line - 1, Column: n.col}
	if n.first < 0 || n.first > len(d.text.data) {
		return p
	}
	from := max(d.text.lines[n.line-1], n.first-excerptBefore)
	to := min(d.text.lineEndWithin(n.first, n.first+excerptAfter), len(d.text.data))
	for from < n.first && !utf8.RuneStart(d.text.data[from]) {
		from++
	}
	for to > n.first && to < len(d.text.data) && !utf8.RuneStart(d.text.data[to]) {
		to--
	}
	p.Excerpt = string(d.text.data[from:to])
	p.Before = utf8.RuneCount(d.text.data[from:n.first])
	if from > d.text.lines[n.line-1] {
		p.Excerpt, p.Before = "…"+p.Excerpt, p.Before+1
	}
	if to < len(d.text.data) && breakLen(d.text.data[to:]) == 0 {
		p.Excerpt += "…"
	}
	p.Width = utf8.RuneCount(d.text.data[n.first:max(n.first, min(end, to))])
	return p
}
