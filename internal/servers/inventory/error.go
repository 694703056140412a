package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

	isLimit bool // a bound was exceeded, so that nothing more is read
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

// exceed returns the error for an input that exceeds a bound.
func exceed(at Origin, format string, args ...any) error {
	return &Error{Origin: at, What: fmt.Sprintf(format, args...), isLimit: true}
}

// endsReading reports whether an error concerns everything and not only a part of an
// inventory: a bound that was exceeded, or a canceled context.
func endsReading(err error) bool {
	var e *Error
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) && e.isLimit
}

// located returns an error as an *Error. An error of the operating system gets the name
// of its file as the origin.
func located(err error, file string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return &Error{Origin: Origin{File: path.Path}, What: fmt.Sprintf("%s: %v", path.Op, path.Err)}
	}
	return &Error{Origin: Origin{File: file}, What: err.Error()}
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

// joined returns one error as itself, and several as Errors.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return Errors(errs)
}

// Unwrap returns all errors for errors.Is and errors.As.
func (e Errors) Unwrap() []error { return e }
