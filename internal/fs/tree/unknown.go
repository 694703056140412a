package tree

import (
	"errors"
	"fmt"
)

// An Unknown is a path that could not be read, with the reason. It stands for the
// path and everything below it.
type Unknown struct {
	Path string
	Err  error
}

// Reason returns the reason in words.
func (u Unknown) Reason() string { return fmt.Sprint(u.Err) }

// Equal reports whether two unknowns have the same path and reason.
func (u Unknown) Equal(v Unknown) bool { return u.Path == v.Path && u.Reason() == v.Reason() }

// Reasons for an Unknown that callers branch on.
var (
	// ErrChanged is returned if a file or directory changed while it was read.
	ErrChanged = errors.New("changed while it was read")
	// ErrMounted is returned if another file system is mounted at the path, which
	// hides everything beneath.
	ErrMounted = errors.New("another file system is mounted here")
	// ErrTooLarge is returned for a file that is larger than the limit for reading.
	ErrTooLarge = errors.New("larger than the limit")
)
