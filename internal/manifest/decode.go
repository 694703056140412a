package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// unknownField is the detail of the error for a field that a type does not have.
const unknownField = "unknown field"

// A decoder decodes nodes into API types as strictly as a kube-apiserver does
// with fieldValidation=Strict. It continues after an error to find all errors.
type decoder struct {
	file   string
	at     path
	errs   Errors
	fields map[reflect.Type][]field // computed once a file
}

// A field is a field of an API struct, including those of inlined structs.
type field struct {
	name  string
	index []int
	typ   reflect.Type
}

func (d *decoder) fail(n *node, hint, format string, args ...any) {
	d.errs = append(d.errs, FieldError{
		File: d.file, Line: n.line, Column: n.col, Path: d.at.String(),
		Detail: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (d *decoder) in(s step, f func()) {
	d.at = append(d.at, s)
	f()
	d.at = d.at[:len(d.at)-1]
}

// decode fills out, which must be settable, from n.
func (d *decoder) decode(n *node, out reflect.Value) {
	n = n.resolved()
	// A kube-apiserver treats null like a missing field.
	if n.isNull() {
		return
	}
	if out.Kind() == reflect.Pointer {
		target := reflect.New(out.Type().Elem())
		d.decode(n, target.Elem())
		out.Set(target)
		return
	}
	if u, ok := out.Addr().Interface().(json.Unmarshaler); ok {
		d.unmarshal(n, u)
		return
	}
	switch out.Kind() {
	case reflect.Struct:
		d.structure(n, out)
	case reflect.Map:
		d.mapping(n, out)
	case reflect.Slice:
		d.slice(n, out)
	default:
		d.scalar(n, out)
	}
}

// unmarshal decodes types that have their own JSON decoding: quantities, times,
// ports.
func (d *decoder) unmarshal(n *node, out json.Unmarshaler) {
	value, err := n.value()
	if err != nil {
		d.fail(n, "", "%v", err)
		return
	}
	data, err := json.Marshal(value)
	if err == nil {
		err = out.UnmarshalJSON(data)
	}
	if err != nil {
		d.fail(n, "", "%s: %v", describe(n), err)
	}
}

func (d *decoder) structure(n *node, out reflect.Value) {
	if n.kind != mappingNode {
		d.fail(n, "", "expected a mapping, found %s", describe(n))
		return
	}
	fields := d.fieldsOf(out.Type())
	for _, e := range n.entries() {
		f, ok := lookup(fields, e.name)
		d.in(key(e.name), func() {
			if !ok {
				d.fail(e.key, d.suggest(fields, e.name), unknownField)
				return
			}
			d.decode(e.value, out.FieldByIndex(f.index))
		})
	}
}

func (d *decoder) mapping(n *node, out reflect.Value) {
	if n.kind != mappingNode {
		d.fail(n, "", "expected a mapping, found %s", describe(n))
		return
	}
	list := n.entries()
	m := reflect.MakeMapWithSize(out.Type(), len(list))
	for _, e := range list {
		d.in(key(e.name), func() {
			value := reflect.New(out.Type().Elem()).Elem()
			d.decode(e.value, value)
			m.SetMapIndex(reflect.ValueOf(e.name).Convert(out.Type().Key()), value)
		})
	}
	out.Set(m)
}

func (d *decoder) slice(n *node, out reflect.Value) {
	if out.Type().Elem().Kind() == reflect.Uint8 {
		d.bytes(n, out)
		return
	}
	if n.kind != sequenceNode {
		hint := ""
		if n.kind == scalarNode {
			hint = "write it as a list item: - " + n.text
		}
		d.fail(n, hint, "expected a list, found %s", describe(n))
		return
	}
	list := reflect.MakeSlice(out.Type(), len(n.children), len(n.children))
	for i, child := range n.children {
		d.in(item(i), func() { d.decode(child, list.Index(i)) })
	}
	out.Set(list)
}

func (d *decoder) bytes(n *node, out reflect.Value) {
	text, ok := n.str()
	if !ok {
		d.fail(n, "", "expected a base64 string, found %s", describe(n))
		return
	}
	data, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "").Replace(text))
	if err != nil {
		d.fail(n, "plain text goes under stringData", "not base64")
		return
	}
	out.SetBytes(data)
}

func (d *decoder) scalar(n *node, out reflect.Value) {
	var value any
	if n.kind == scalarNode {
		v, err := n.scalar()
		if err != nil {
			d.fail(n, "", "%v", err)
			return
		}
		value = v
	}
	switch out.Kind() {
	case reflect.String:
		if s, ok := value.(string); ok {
			out.SetString(s)
			return
		}
		hint := ""
		if n.kind == scalarNode {
			hint = fmt.Sprintf("quote it: %q", n.text)
		}
		d.fail(n, hint, "expected a string, found %s", describe(n))
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			out.SetBool(b)
			return
		}
		hint := ""
		if s, _ := value.(string); s == "true" || s == "false" {
			hint = "write " + s + " without quotes"
		}
		d.fail(n, hint, "expected true or false, found %s", describe(n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		d.integer(n, value, out)
	default:
		d.fail(n, "", "cannot decode into %s", out.Type())
	}
}

func (d *decoder) integer(n *node, value any, out reflect.Value) {
	var i int64
	switch v := value.(type) {
	case int64:
		i = v
	case float64:
		// Beyond 2^53 a float64 cannot represent every whole number.
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			d.fail(n, "", "expected a whole number, found %s", describe(n))
			return
		}
		i = int64(v)
	default:
		hint := ""
		if s, ok := value.(string); ok && isDigits(s) && s != "" {
			hint = "write " + s + " without quotes"
		}
		d.fail(n, hint, "expected a whole number, found %s", describe(n))
		return
	}
	if out.OverflowInt(i) {
		d.fail(n, "", "%d is out of range", i)
		return
	}
	out.SetInt(i)
}

// describe returns the type of a node for an error.
func describe(n *node) string {
	switch n.kind {
	case mappingNode:
		return "a mapping"
	case sequenceNode:
		return "a list"
	}
	value, err := n.scalar()
	if err != nil {
		return "a value with " + err.Error()
	}
	switch value.(type) {
	case nil:
		return "null"
	case string:
		text := n.text
		if len(text) > 60 {
			text = strings.ToValidUTF8(text[:57], "") + "…"
		}
		return fmt.Sprintf("the string %q", text)
	case bool:
		return "the boolean " + n.text
	}
	return "the number " + n.text
}

// value returns a node as encoding/json would decode it, with aliases and
// merges expanded.
func (n *node) value() (any, error) {
	n = n.resolved()
	switch n.kind {
	case scalarNode:
		return n.scalar()
	case sequenceNode:
		list := make([]any, len(n.children))
		for i, child := range n.children {
			v, err := child.value()
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
	m := make(map[string]any, len(n.children)/2)
	for _, e := range n.entries() {
		v, err := e.value.value()
		if err != nil {
			return nil, err
		}
		m[e.name] = v
	}
	return m, nil
}
