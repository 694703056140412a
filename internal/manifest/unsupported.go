package manifest

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Runner is a way to run workloads, which determines the meaning of their
// fields. The zero value starts one pod of each workload, once.
type Runner struct {
	kinds []string           // that it runs; nil for all
	rows  map[string]support // in place of those of the table
}

// Declared is the runner that keeps workloads running and replaces their
// instances: the number of replicas and the strategy have an effect.
var Declared = Runner{kinds: []string{"Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Pod", "Job", "CronJob"}, rows: joined(claimRows, declared)}

// Once is the runner that starts one pod of each workload, once, with its claims. The
// zero value has an empty volume in place of a claim.
var Once = Runner{rows: claimRows}

// Unsupported is the method of the zero Runner.
func Unsupported(w Workload) []FieldError { return Runner{}.Unsupported(w) }

// Notes is the method of the zero Runner.
func Notes(w Workload) []FieldError { return Runner{}.Notes(w) }

// Unsupported returns the fields of a workload that are set and not supported
// on one machine, in the order of the file. A caller that runs the workload
// must refuse it if there are any.
func (r Runner) Unsupported(w Workload) []FieldError {
	if r.kinds != nil && !slices.Contains(r.kinds, w.Kind) {
		e := w.objectErrorf("kind", "run it with adamant run -f", "a %s is not kept running here", w.Kind)
		return []FieldError{e}
	}
	return r.survey(w).refused
}

// Notes returns the fields of a workload that are set and have no effect on one
// machine, with the effect that they have instead. A caller that runs the
// workload prints them.
func (r Runner) Notes(w Workload) []FieldError { return r.survey(w).notes }

// A surveyor walks the fields that a manifest sets, together with the API
// types, and looks up each field in the table of supported ones.
type surveyor struct {
	decoder
	runner         Runner
	refused, notes Errors
}

func (r Runner) survey(w Workload) *surveyor {
	s := &surveyor{decoder: decoder{file: w.file}, runner: r}
	t := reflect.TypeOf(w.Object).Elem()
	s.walk(w.node, t, t.Name())
	s.generatedName(w)
	s.refused, s.notes = s.refused.sorted(), s.notes.sorted()
	return s
}

// joined returns the rows of several tables. Later ones replace earlier ones.
func joined(tables ...map[string]support) map[string]support {
	all := map[string]support{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

// row returns the supported fields of a type.
func (r Runner) row(name string) support {
	if own, ok := r.rows[name]; ok {
		return own
	}
	return supported[name]
}

// generatedName adds a note for a name that a kube-apiserver would complete.
func (s *surveyor) generatedName(w Workload) {
	meta, ok := w.node.get("metadata")
	if !ok {
		return
	}
	if _, named := meta.value.get("name"); named {
		return
	}
	if e, ok := meta.value.get("generateName"); ok {
		s.at = path{key("metadata"), key("generateName")}
		s.notes = append(s.notes, s.found(e, "it is called "+w.Name+" here", ""))
	}
}

// walk visits a value of an API type. row is the type's name in the table.
func (s *surveyor) walk(n *node, t reflect.Type, row string) {
	n = n.resolved()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
		row = t.Name()
	}
	switch t.Kind() {
	case reflect.Slice:
		for i, child := range n.children {
			if n.kind == sequenceNode {
				s.in(item(i), func() { s.walk(child, t.Elem(), rowOf(t.Elem(), row)) })
			}
		}
	case reflect.Map:
		if t.Name() == "ResourceList" {
			s.fieldsIn(n, row, nil)
		}
	case reflect.Struct:
		// The fields of a quantity or time are not those of the manifest.
		if !reflect.PointerTo(t).Implements(unmarshaler) {
			s.fieldsIn(n, row, s.fieldsOf(t))
		}
	}
}

var unmarshaler = reflect.TypeFor[interface{ UnmarshalJSON([]byte) error }]()

// rowOf returns the row for the items of a list.
func rowOf(t reflect.Type, list string) string {
	if list == "InitContainer" {
		return list
	}
	return t.Name()
}

func (s *surveyor) fieldsIn(n *node, row string, fields []field) {
	table := s.runner.row(row)
	if table.runs == "*" {
		return
	}
	for _, e := range n.entries() {
		if e.value.isNull() {
			continue
		}
		s.in(key(e.name), func() {
			if !table.allows(e) {
				s.report(table, e)
				return
			}
			if f, ok := lookup(fields, e.name); ok {
				row := f.typ.Name()
				if e.name == "initContainers" {
					row = "InitContainer"
				}
				s.walk(e.value, f.typ, row)
			}
		})
	}
}

// allows reports whether a field is supported with its value.
func (t support) allows(e entry) bool {
	for _, f := range strings.Fields(t.runs) {
		name, value, only := strings.Cut(f, "=")
		if name != e.name {
			continue
		}
		if !only {
			return true
		}
		if n := e.value.resolved(); n.kind == scalarNode && n.keyName() == value {
			return true
		}
	}
	return false
}

func (s *surveyor) report(table support, e entry) {
	n := e.value.resolved()
	empty := n.kind != scalarNode && len(n.children) == 0
	if say, ok := table.notes[e.name]; ok {
		if !empty {
			s.notes = append(s.notes, s.found(e, say, ""))
		}
		return
	}
	if empty && n.kind == sequenceNode {
		return
	}
	s.refused = append(s.refused, s.found(e, "not supported on one machine", table.hints[e.name]))
}

func (s *surveyor) found(e entry, detail, hint string) FieldError {
	return FieldError{File: s.file, Line: e.key.line, Column: e.key.col, Path: s.at.String(), Detail: detail, Hint: hint}
}
