package ssh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/adamant-sh/adamant/internal/text"
)

// The errors that a caller can distinguish. Errors of this package wrap at most one
// of them, or the error of their context.
var (
	ErrUnknownHost    = errors.New("unknown host key")
	ErrHostKeyChanged = errors.New("host key is not the known one")
	ErrAuth           = errors.New("login refused")
	ErrUnreachable    = errors.New("unreachable")
	ErrLost           = errors.New("connection lost")
	ErrSudo           = errors.New("sudo refused")
	ErrShell          = errors.New("the login shell runs no command")
)

// maxExcerpt bounds a server's text in an error, in bytes.
const maxExcerpt = 400

// An ExitError is returned for a command that ran and did not exit with status 0.
type ExitError struct {
	Status int    // 128 + the signal's number if a signal ended it
	Signal string // as "KILL"; empty if it exited by itself
	Stderr string // the end of its stderr, as it was sent
}

// Error returns how the command ended and the last line that it wrote to stderr.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Status)
	if e.Signal != "" {
		text = "ended by signal " + excerpt(e.Signal)
	}
	if last := lastLine(e.Stderr); last != "" {
		text += ": " + last
	}
	return text
}

// excerpt returns a server's text for an error: escaped, bounded and on one line.
func excerpt(s string) string {
	return text.Excerpt(strings.TrimSpace(s), maxExcerpt)
}

// lastLine returns the last line of a server's text that is not empty.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return excerpt(text[strings.LastIndexByte(text, '\n')+1:])
}

// An excerptError has the text of another error as an excerpt, because x/crypto
// puts text of the server into its errors.
type excerptError struct{ error }

func (e excerptError) Error() string { return excerpt(e.error.Error()) }
func (e excerptError) Unwrap() error { return e.error }

// cause returns the part of a connection's error that follows the operation and
// the address, because the caller adds these.
func cause(err error) error {
	var op *net.OpError
	var call *os.SyscallError
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return file.Err
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return excerptError{op.Err}
	}
	return excerptError{err}
}

// isNetwork reports whether an error comes from the connection, not from an answer
// of the server.
func isNetwork(err error) bool {
	var of net.Error
	return errors.As(err, &of) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
