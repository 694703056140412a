package inventory

import (
	"fmt"
	"strings"
)

// An Origin is the place of a setting or a name. Its zero value is the command line.
type Origin struct {
	File string
	Line int // from 1; 0 for the file as a whole
}

// String returns "file:line", as compilers do.
func (o Origin) String() string {
	switch {
	case o.File == "":
		return "command line"
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// An Error is returned for an invalid or unsupported part of an inventory, an ssh_config
// or a pattern. It never holds the value of a secret.
type Error struct {
	Origin Origin
	What   string // the problem
	Hint   string // how to fix it; may be empty
}

// Error returns "file:line: problem (hint)".
func (e *Error) Error() string {
	text := e.Origin.String() + ": " + e.What
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func fail(at Origin, hint, format string, args ...any) error {
	return &Error{Origin: at, What: fmt.Sprintf(format, args...), Hint: hint}
}

// A Note is a setting that was ignored, although a user may expect it to work.
type Note struct {
	Origin Origin
	Text   string
}

// shownErrors bounds the errors in one message.
const shownErrors = 10

// Errors holds the errors of several hosts.
type Errors []error

// Error returns a line for each of the first errors, and the number of the others.
func (e Errors) Error() string {
	var lines []string
	for i, err := range e {
		if i == shownErrors {
			lines = append(lines, fmt.Sprintf("and %d more", len(e)-i))
			break
		}
		lines = append(lines, err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns all errors for errors.Is and errors.As.
func (e Errors) Unwrap() []error { return e }
