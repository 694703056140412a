package manifest

import (
	"fmt"
	"slices"
)

// Apply returns the file with the ops applied in order. Only the lines of these
// fields change: comments, order, indentation, quotes and line endings of all
// others stay. The result is parsed again and must be equal to the parsed old
// file with the ops applied, otherwise Apply returns an error.
//
// A field behind an alias or a merge key is refused, because the edit would
// also change other fields, or would have to expand the value.
func (f File) Apply(ops ...Op) ([]byte, error) {
	s, err := f.edit(ops)
	if err != nil {
		return nil, err
	}
	return s.join()
}

// edit returns the verified splices of ops.
func (f File) edit(ops []Op) (*splicer, error) {
	e := &editor{file: &f, roots: slices.Clone(f.roots), own: map[*node]bool{}}
	var refused Errors
	for _, op := range ops {
		if err := e.do(op); err != nil {
			refused = append(refused, *err)
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	s := &splicer{editor: e}
	for _, root := range e.roots {
		if e.own[root] {
			s.layout = layoutOf(&f, root) // of a document that is no object
			s.value(root, nil, nil)
		}
	}
	s.documents(e.roots[len(f.roots):])
	if s.refused != nil {
		return nil, s.refused
	}
	edited, err := s.join()
	if err != nil {
		return nil, err
	}
	if f.ambiguous != nil {
		return s, e.verifyLeniently(edited[f.bom:])
	}
	return s, e.verify(edited)
}

// verify parses the edited file and compares it with the intended one.
func (e *editor) verify(edited []byte) error {
	got, err := Parse(e.file.Name, edited)
	if err != nil {
		return fmt.Errorf("edit %s: the result would not be a valid manifest: %w", e.file.Name, err)
	}
	return e.verifyMeaning(got)
}

// verifyMeaning compares the meaning of the edited file with the intended one.
func (e *editor) verifyMeaning(got File) error {
	if len(got.roots) != len(e.roots) {
		return fmt.Errorf("edit %s: the result would have %d documents instead of %d", e.file.Name, len(got.roots), len(e.roots))
	}
	for i := range got.roots {
		if at, same := compare(e.roots[i], got.roots[i], nil); !same {
			return fmt.Errorf("edit %s: the result would differ at %s in a way that is not intended", e.file.Name, at)
		}
	}
	return nil
}

// compare returns the first path at which two trees have different meanings.
func compare(want, got *node, at path) (path, bool) {
	want, got = want.resolved(), got.resolved()
	if want.kind != got.kind || want.kind == scalarNode && !sameScalar(want, got) {
		return at, false
	}
	switch want.kind {
	case sequenceNode:
		if len(want.children) != len(got.children) {
			return at, false
		}
		for i := range want.children {
			if at, same := compare(want.children[i], got.children[i], at.with(item(i))); !same {
				return at, false
			}
		}
	case mappingNode:
		a, b := want.entries(), got.entries()
		if len(a) != len(b) {
			return at, false
		}
		for i := range a {
			at := at.with(key(a[i].name))
			if a[i].name != b[i].name {
				return at, false
			}
			if at, same := compare(a[i].value, b[i].value, at); !same {
				return at, false
			}
		}
	}
	return nil, true
}

func sameScalar(a, b *node) bool {
	x, errX := a.scalar()
	y, errY := b.scalar()
	if errX != nil || errY != nil {
		return errX != nil && errY != nil && a.text == b.text && a.tag == b.tag
	}
	return x == y || x != x && y != y // two NaN
}

// An editor applies ops to a tree. It does not change the tree of the file, but
// copies the nodes that it changes.
type editor struct {
	file  *File
	roots []*node
	own   map[*node]bool // copies, and nodes made
}

// owned returns a copy of n that may be changed.
func (e *editor) owned(n *node) *node {
	if e.own[n] || n.made {
		return n
	}
	copied := *n
	copied.children = slices.Clone(n.children)
	e.own[&copied] = true
	return &copied
}

func (e *editor) refuse(n *node, at path, hint, format string, args ...any) *FieldError {
	if n.was != nil {
		n = n.was
	}
	return &FieldError{File: e.file.Name, Line: n.line, Column: n.col, Path: at.String(), Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// do applies one op.
func (e *editor) do(op Op) *FieldError {
	value, err := newNode(op.Value)
	if err != nil {
		return &FieldError{File: e.file.Name, Path: op.Path, Detail: err.Error()}
	}
	if op.Action == Add {
		return e.add(value)
	}
	at, err := parsePath(op.Path)
	if err != nil || len(at) == 0 || op.object >= len(e.file.objects) {
		return &FieldError{File: e.file.Name, Path: op.Path, Detail: "no such place to edit"}
	}
	o := e.file.objects[op.object]
	full := o.at.with(at...)
	root := e.owned(e.roots[o.doc])
	e.roots[o.doc] = root
	n := root
	for i := range full[:len(full)-1] {
		var refusal *FieldError
		if n, refusal = e.descend(n, full[i], full[i+1], full[min(len(o.at), i+1):i+1]); refusal != nil {
			return refusal
		}
	}
	if op.Action == Set {
		return e.set(n, full[len(full)-1], value, at)
	}
	list, refusal := e.descend(n, full[len(full)-1], item(0), at)
	if refusal != nil {
		return refusal
	}
	if list.kind != sequenceNode {
		return e.refuse(list, at, "", "expected a list, found %s", describe(list))
	}
	if op.Action == Prepend {
		list.children = slices.Insert(list.children, 0, value)
		return nil
	}
	list.children = append(list.children, value)
	return nil
}

// add adds a document.
func (e *editor) add(value *node) *FieldError {
	if e.file.json {
		return e.refuse(e.roots[0], nil, "write it to a file of its own", "cannot add an object to a file of JSON")
	}
	e.roots = append(e.roots, value)
	return nil
}

// descend returns the child of n at s, ready to be changed. If there is none it
// adds a mapping or list, as the following step needs.
func (e *editor) descend(n *node, s, next step, at path) (*node, *FieldError) {
	if refusal := e.editable(n, at); refusal != nil {
		return nil, refusal
	}
	empty := &node{kind: mappingNode, start: -1, first: -1, made: true}
	if next.index >= 0 {
		empty.kind = sequenceNode
	}
	if s.index >= 0 {
		if n.kind != sequenceNode || s.index >= len(n.children) {
			return nil, e.refuse(n, at, "", "there is no item %d", s.index)
		}
		child := e.replaceChild(n, s.index, empty)
		return child, e.editable(child, at)
	}
	if n.kind != mappingNode {
		return nil, e.refuse(n, at, "", "expected a mapping, found %s", describe(n))
	}
	i := ownKey(n, s.key)
	if i >= 0 {
		child := e.replaceChild(n, i, empty)
		return child, e.editable(child, at)
	}
	if found, ok := n.get(s.key); ok {
		return nil, e.refuse(found.key, at, "write the value out where it is merged", "it comes from a merge key (<<)")
	}
	k, _ := newNode(s.key)
	n.children = append(n.children, k, empty)
	return empty, nil
}

// replaceChild returns a copy of a child that may be changed, or empty in place
// of a null.
func (e *editor) replaceChild(n *node, i int, empty *node) *node {
	child := n.children[i]
	if child.kind == scalarNode && !child.made && child.isNull() && child.anchor == "" {
		empty.was = child
		child = empty
	}
	n.children[i] = e.owned(child)
	return n.children[i]
}

// editable refuses a node that has more than one place in the tree.
func (e *editor) editable(n *node, at path) *FieldError {
	switch {
	case n.kind == aliasNode:
		return e.refuse(n, at, "write the value out instead of the alias", "it is written by way of the alias *%s", n.text)
	case n.aliased:
		return e.refuse(n, at, "write the value out instead of the aliases", "it has the anchor &%s, whose aliases would change too", n.anchor)
	}
	return nil
}

// ownKey returns the index of the value of n's own key, or -1.
func ownKey(n *node, name string) int {
	for i := 0; i+1 < len(n.children); i += 2 {
		if k := n.children[i]; !k.isMerge() && k.keyName() == name {
			return i + 1
		}
	}
	return -1
}

// set sets a key of n.
func (e *editor) set(n *node, s step, value *node, at path) *FieldError {
	if refusal := e.editable(n, at); refusal != nil {
		return refusal
	}
	if s.index >= 0 || n.kind != mappingNode {
		return e.refuse(n, at, "", "only fields of a mapping can be set")
	}
	i := ownKey(n, s.key)
	if i < 0 {
		if found, ok := n.get(s.key); ok {
			if _, same := compare(found.value, value, nil); same {
				return nil
			}
			if found.value.resolved().kind != scalarNode {
				return e.refuse(found.key, at, "write the value out where it is merged", "it comes from a merge key (<<)")
			}
		}
		k, _ := newNode(s.key)
		n.children = append(n.children, k, value)
		return nil
	}
	old := n.children[i]
	if _, same := compare(old, value, nil); same {
		return nil
	}
	if refusal := e.editable(old, at); refusal != nil {
		return refusal
	}
	if !old.isNull() && (old.kind != scalarNode || value.kind != scalarNode) {
		return e.refuse(n.children[i-1], at, "", "it is already set, to %s", describe(old))
	}
	// The tag would apply to the new value, and the aliases of the anchor would
	// change or dangle.
	if old.style == blockStyle || old.anchor != "" || old.tag != "" && !old.made {
		return e.refuse(old, at, "write it as a plain value", "cannot replace a value that is written as a block, with a tag or with an anchor")
	}
	value.was = old
	if old.made {
		value.was = old.was
	}
	n.children[i] = value
	return nil
}
