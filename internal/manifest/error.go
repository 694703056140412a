package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A FieldError is an error in one field of a manifest, or a note about the
// field.
type FieldError struct {
	File   string // as it was given to Parse
	Line   int    // from 1; 0 if the problem has no place
	Column int    // from 1, in characters; 0 if unknown
	Path   string // "spec.template.spec.containers[0].image"; empty for the file as a whole
	Detail string // the error or note
	Hint   string // how to mend it; may be empty
}

// Error returns "file:line:column: path: detail (hint)".
func (e FieldError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Detail)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Errors holds all errors of a manifest, in the order of the file.
type Errors []FieldError

// maxErrorsShown bounds the text of Errors. The slice itself has all of them.
const maxErrorsShown = 50

// Error returns one line for each error.
func (e Errors) Error() string {
	var b strings.Builder
	for i, one := range e {
		if i == maxErrorsShown {
			fmt.Fprintf(&b, "\n… and %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find each FieldError.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i := range e {
		list[i] = e[i]
	}
	return list
}

// sorted returns the errors in the order of the file.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b FieldError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
