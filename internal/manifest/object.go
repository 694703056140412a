package manifest

import (
	"fmt"
	"reflect"
)

// An Object is a decoded document that is no manifest, such as a configuration file.
type Object struct {
	file string
	root *node
}

// Decode decodes the only document of a YAML or JSON file into a struct, by its JSON tags
// and as strictly as a manifest: unknown and duplicate fields are errors with their
// position.
func Decode(name string, data []byte, into any) (Object, error) {
	o := Object{file: name}
	if len(data) > MaxFileSize {
		return o, Errors{{File: name, Detail: fmt.Sprintf("larger than %d MiB", MaxFileSize>>20)}}
	}
	if err := checkUTF8(name, data); err != nil {
		return o, err
	}
	f := File{Name: name, data: data}
	if err := f.parse(); err != nil {
		return o, err
	}
	if len(f.roots) != 1 {
		return o, Errors{{File: name, Detail: fmt.Sprintf("expected one document, found %d", len(f.roots))}}
	}
	o.root = f.roots[0]
	d := &decoder{file: name}
	d.decode(o.root, reflect.ValueOf(into).Elem())
	if len(d.errs) > 0 {
		return o, d.errs.sorted()
	}
	return o, nil
}

// Fail returns an error in the field that a path of keys leads to, with its position.
func (o Object) Fail(detail, hint string, keys ...string) error {
	at, n := path{}, o.root.resolved()
	e := FieldError{File: o.file, Detail: detail, Hint: hint}
	for _, name := range keys {
		at = at.with(key(name))
		if found, ok := n.get(name); n != nil && ok {
			e.Line, e.Column = found.value.line, found.value.col
			n = found.value.resolved()
		}
	}
	e.Path = at.String()
	return Errors{e}
}
