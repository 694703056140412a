package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// maxPassedOver is the number of objects that a note names.
const maxPassedOver = 6

// String returns "NetworkPolicy/web".
func (o Other) String() string { return o.Kind + "/" + o.Name }

// PassedOverNotes returns the notes of a command that passes over some of Others: one for
// all without pods, and one for each with pods, which are missing then.
func PassedOverNotes(others []Other) []string {
	var notes, names []string
	without := 0
	for _, o := range others {
		if o.HasPods {
			notes = append(notes, fmt.Sprintf("%s:%d: %s (%s) has pods that cannot be run here: it is passed over", o.File, o.Line, o, o.APIVersion))
			continue
		}
		if without++; without <= maxPassedOver {
			names = append(names, o.String())
		}
	}
	if without == 0 {
		return notes
	}
	if more := without - maxPassedOver; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	objects := "objects"
	if without == 1 {
		objects = "object"
	}
	return append([]string{fmt.Sprintf("passed over: %d %s without pods (%s)", without, objects, strings.Join(names, ", "))}, notes...)
}

// HavePods reports whether an object that is passed over has pods, so that something of
// the manifest does not run.
func HavePods(others []Other) bool {
	return slices.ContainsFunc(others, func(o Other) bool { return o.HasPods })
}

// UnsupportedKinds returns an error for each of Others with pods, for a caller that must
// run all pods of a manifest or none.
func (f File) UnsupportedKinds() []FieldError {
	var list []FieldError
	for _, o := range f.objects {
		if o.typed != nil || len(podsIn(o.node)) == 0 {
			continue
		}
		place := o.node
		if e, ok := o.node.get("kind"); ok {
			place = e.value
		}
		list = append(list, FieldError{
			File: o.file, Line: place.line, Column: place.col, Path: "kind",
			Detail: fmt.Sprintf("%s (%s) cannot be run here", o.kind, o.apiVersion),
			Hint:   "leave it out, or keep it in a file for the cluster",
		})
	}
	return list
}
