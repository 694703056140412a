package manifest

import (
	"reflect"
	"strings"
)

// fieldsOf returns the fields of an API struct with their JSON names.
func (d *decoder) fieldsOf(t reflect.Type) []field {
	if have, ok := d.fields[t]; ok {
		return have
	}
	if d.fields == nil {
		d.fields = map[reflect.Type][]field{}
	}
	list := structFields(t)
	d.fields[t] = list
	return list
}

func structFields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && (f.Anonymous || strings.Contains(options, "inline")):
			for _, inner := range structFields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				list = append(list, inner)
			}
		case name != "":
			list = append(list, field{name: name, index: []int{i}, typ: f.Type})
		}
	}
	return list
}

func lookup(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// suggest returns a hint for an unknown field: a field with a similar name, or
// one of that name one level down.
func (d *decoder) suggest(fields []field, name string) string {
	best, distance := "", 1+len(name)/4
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return "did you mean " + f.name + "?"
		}
		if n := editDistance(strings.ToLower(f.name), strings.ToLower(name), distance); n <= distance {
			best, distance = f.name, n-1
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	for _, f := range fields {
		t := f.typ
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			continue
		}
		for _, inner := range d.fieldsOf(t) {
			if strings.EqualFold(inner.name, name) {
				return "did you mean " + f.name + "." + inner.name + "?"
			}
		}
	}
	return ""
}

// editDistance returns how many letters must be inserted, deleted, replaced or
// swapped with the next one to change a into b, or more than limit if limit is
// not enough.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 100 || len(b) > 100 {
		return limit + 1
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
