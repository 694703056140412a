package manifest

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// Editable returns the document as a file, of which Shaped returns the workloads and to
// which ops of these and of SetField apply. Lines in it are those in the document.
func (d *Document) Editable() (File, error) {
	if d.file == nil {
		return File{}, fmt.Errorf("%s:%d: the document is not understood", d.File, d.Line)
	}
	if len(d.file.roots) != 1 {
		return File{}, Errors{{File: d.File, Line: d.Line, Detail: "several documents without a line of --- between them",
			Hint: "write such a line before each document"}}
	}
	f := *d.file
	f.objects = nil
	places := objectPaths(f.roots[0])
	for i := range d.Objects {
		o := &d.Objects[i]
		f.objects = append(f.objects, object{
			file: d.File, doc: 0, at: places[o.Value.n], node: o.Value.n,
			apiVersion: o.APIVersion, kind: o.Kind, namespace: o.Namespace, name: o.Name,
		})
	}
	return f, nil
}

// objectPaths returns the paths of all values of a document that can be objects: the
// root, and the items of lists.
func objectPaths(root *node) map[*node]path {
	places := map[*node]path{}
	var visit func(n *node, at path)
	visit = func(n *node, at path) {
		places[n] = at
		list := n
		if n.kind == mappingNode {
			items, ok := n.get("items")
			if !ok || items.merged {
				return
			}
			list, at = items.value, at.with(key("items"))
		}
		for i, child := range list.children {
			if list.kind == sequenceNode {
				visit(child, at.with(item(i)))
			}
		}
	}
	visit(root, nil)
	return places
}

// SetField returns an op that sets a field of one of the document's objects.
func SetField(object int, fieldPath string, value any) Op {
	return Op{Action: Set, Path: fieldPath, Value: value, object: object}
}

// AppendItem returns an op that appends an item to a list of one of the document's objects.
func AppendItem(object int, fieldPath string, item any) Op {
	return Op{Action: Append, Path: fieldPath, Value: item, object: object}
}

// ObjectIndex returns the index of the workload's object in its file.
func (w Workload) ObjectIndex() int { return w.index }

// An Edit changes a part of a file, which is one document.
type Edit struct {
	offset  int64
	size    int
	sum     [sha256.Size]byte
	splices []splice
}

// IsEmpty reports whether the edit changes nothing.
func (e Edit) IsEmpty() bool { return len(e.splices) == 0 }

// Edit returns the edit of ops, which was verified as in Apply. Whatever of the document
// could be read is compared, whether or not a kube-apiserver would accept it.
func (d *Document) Edit(ops ...Op) (Edit, error) {
	f, err := d.Editable()
	if err != nil {
		return Edit{}, err
	}
	if !d.Exact {
		return Edit{}, Errors{{File: d.File, Line: d.Line, Detail: "a document with a byte order mark in it", Hint: "remove the mark"}}
	}
	s, err := f.edit(ops)
	if err != nil {
		return Edit{}, d.moved(err)
	}
	e := Edit{offset: d.Offset, size: len(f.data), sum: sha256.Sum256(f.data)}
	e.splices = slices.DeleteFunc(s.splices, func(one splice) bool { return string(f.data[one.start:one.end]) == one.text })
	return e, nil
}

// moved returns an error in the text of the document as one in its file.
func (d *Document) moved(err error) error {
	list, ok := err.(Errors)
	if !ok {
		return err
	}
	list = slices.Clone(list)
	list.move(d.Line)
	return list
}

// InFile returns an error or note about a workload of Editable with the line in the file.
func (d *Document) InFile(e FieldError) FieldError {
	list := Errors{e}
	list.move(d.Line)
	return list[0]
}

// ApplyEdits returns a file with edits of its documents, which are in the order of the
// file. It returns an error if the file is not the one that the documents were read from.
func ApplyEdits(name string, data []byte, edits []Edit) ([]byte, error) {
	var out []byte
	at := 0
	for _, e := range edits {
		end := e.offset + int64(e.size)
		if e.offset < int64(at) || end > int64(len(data)) || sha256.Sum256(data[e.offset:end]) != e.sum {
			return nil, fmt.Errorf("edit %s: it was changed while it was read", name)
		}
		for _, one := range e.splices {
			start := int(e.offset) + one.start
			out = append(append(out, data[at:start]...), one.text...)
			at = int(e.offset) + one.end
		}
	}
	return append(out, data[at:]...), nil
}
