package inventory

import (
	"fmt"
	"strings"
)

// An Origin is the line where something was said. Its zero value is the command
// line.
type Origin struct {
	File string
	Line int // from 1; 0 for the file as a whole
}

// String is "file:line", as compilers write it.
func (o Origin) String() string {
	switch {
	case o.File == "":
		return "command line"
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// An Error is something in an inventory, an ssh_config or a pattern that cannot
// be meant or is not done here. It never holds the value of a secret.
type Error struct {
	Origin Origin
	What   string // what is wrong
	Hint   string // how to mend it; may be empty
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

// A Note is something that was passed over and may be missed.
type Note struct {
	Origin Origin
	Text   string
}

// shownErrors is how many hosts' errors are told at once.
const shownErrors = 10

// Errors are the errors of several hosts.
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

// Unwrap gives all of them to errors.Is and errors.As.
func (e Errors) Unwrap() []error { return e }
