package tree

import "errors"

// An Unknown is a path that could not be looked at, and why. It stands for the
// path and everything below it.
type Unknown struct {
	Path string
	Err  error
}

// The reasons for an Unknown that callers tell apart.
var (
	// ErrChanged says that a file or directory changed while it was read.
	ErrChanged = errors.New("changed while it was read")
	// ErrMounted says that another file system is mounted at the path, so that
	// nothing is known of what lies beneath.
	ErrMounted = errors.New("another file system is mounted here")
	// ErrTooLarge says that a file is larger than the limit for reading.
	ErrTooLarge = errors.New("larger than the limit")
)
