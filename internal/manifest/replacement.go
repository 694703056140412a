package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Replacement replaces a part of a file with a text. Lines and columns are those of a
// Place. The last column is behind the part, which is empty if the text is only inserted.
type Replacement struct {
	Line, Column       int
	EndLine, EndColumn int
	Text               string
}

// Size returns the size of the document in bytes.
func (d *Document) Size() int {
	if d.file == nil {
		return 0
	}
	return len(d.file.data)
}

// A Setting is a field of an object of a document, and the value that it should have.
type Setting struct {
	Object *Resource
	Path   string // of the field in the object
	Value  any    // as that of an Op
}

// Replacements returns, for each setting alone, the replacements with which the field has
// the value, as File.Apply would set it: all other lines stay as they are. There are none
// for a field that cannot be edited, and for a document with aliases.
//
// The edited document is read again and compared with the intended one, as in Apply. This
// takes as long as reading the document, so it is done once for all settings.
func (d *Document) Replacements(settings []Setting) [][]Replacement {
	list := make([][]Replacement, len(settings))
	if d.file == nil {
		return list
	}
	var edits []edit // that can be made
	places := map[*Resource]path{}
	for i, s := range settings {
		at, known := places[s.Object]
		if !known {
			found, aliases := false, false
			if at, found, aliases = pathTo(d.file.roots[d.index], s.Object.Value.n); !found || aliases {
				return list
			}
			places[s.Object] = at
		}
		field, err := parsePath(s.Path)
		if err != nil {
			continue
		}
		one := edit{i, Op{Action: Set, Path: at.with(field...).String(), Value: s.Value}}
		if s, err := d.splices(one); err == nil {
			list[i] = d.replacements(s.splices)
			edits = append(edits, one)
		}
	}
	if d.verify(edits...) == nil {
		return list
	}
	for _, one := range edits {
		if d.verify(one) != nil {
			list[one.index] = nil
		}
	}
	return list
}

// An edit is the op for the setting with an index.
type edit struct {
	index int
	op    Op
}

// splices applies edits to the document.
func (d *Document) splices(edits ...edit) (*splicer, error) {
	f := *d.file
	f.objects = []object{{doc: d.index}}
	e := &editor{file: &f, roots: slices.Clone(f.roots), own: map[*node]bool{}}
	for _, one := range edits {
		if refusal := e.do(one.op); refusal != nil {
			return nil, *refusal
		}
	}
	root := e.roots[d.index]
	s := &splicer{editor: e, layout: layoutOf(&f, root)}
	if e.own[root] {
		s.value(root, nil, nil)
	}
	return s, s.refused
}

// verify is that of an editor, for a document.
func (d *Document) verify(edits ...edit) error {
	if len(edits) == 0 {
		return nil
	}
	s, err := d.splices(edits...)
	if err != nil {
		return err
	}
	edited, err := s.join()
	if err != nil {
		return err
	}
	return s.verifyLeniently(edited[s.file.bom:])
}

func (d *Document) replacements(splices []splice) []Replacement {
	slices.SortStableFunc(splices, func(a, b splice) int { return cmp.Compare(a.start, b.start) })
	var list []Replacement
	for _, one := range splices {
		r := Replacement{Text: one.text}
		r.Line, r.Column = d.position(one.start)
		r.EndLine, r.EndColumn = d.position(one.end)
		list = append(list, r)
	}
	return list
}

// verifyLeniently is verify for a document.
func (e *editor) verifyLeniently(edited []byte) error {
	got := File{Name: e.file.Name, data: edited, ambiguous: &Errors{}}
	if err := got.parse(); err != nil {
		return fmt.Errorf("edit %s: the result would not be valid: %w", e.file.Name, err)
	}
	return e.verifyMeaning(got)
}

// pathTo returns the path from a value to another one below it, and whether there are
// aliases, which could multiply the values of the document.
func pathTo(n, target *node) (at path, found, aliases bool) {
	if n == target {
		found = true
	}
	if n.kind == aliasNode {
		return nil, found, true
	}
	step := 1
	if n.kind == mappingNode {
		step = 2
	}
	for i := step - 1; i < len(n.children); i += step {
		below, foundBelow, aliasesBelow := pathTo(n.children[i], target)
		aliases = aliases || aliasesBelow
		if foundBelow && !found {
			first := item(i)
			if n.kind == mappingNode {
				first = key(n.children[i-1].keyName())
			}
			at, found = append(path{first}, below...), true
		}
	}
	return at, found, aliases
}

// position returns the line and column of an offset in the document.
func (d *Document) position(offset int) (line, column int) {
	i, exact := slices.BinarySearchFunc(d.text.lines, offset, cmp.Compare[int])
	if !exact {
		i--
	}
	return d.Line + i, utf8.RuneCount(d.text.data[d.text.lines[i]:offset]) + 1
}
