package ssh

import (
	"errors"
	"io"
	"strings"
)

// A Command is a command to run on a server: a Line or Args, not both.
type Command struct {
	Line string   // for sh, whatever the login shell is
	Args []string // a program and its arguments

	Stdin  io.Reader // empty if nil; for Run only
	Stdout io.Writer // discarded if nil; for Run only
	Stderr io.Writer // discarded if nil; used by one goroutine

	// Sudo runs it as the host's Become.User, with Become.Password if sudo asks
	// for one. It has no effect if root is to become root.
	Sudo bool
}

// line returns the command line for sh.
func (c Command) line() (string, error) {
	switch {
	case (c.Line == "") == (len(c.Args) == 0):
		return "", errors.New("a command is a line or arguments")
	case strings.ContainsRune(c.Line+strings.Join(c.Args, ""), 0):
		return "", errors.New("no shell takes a NUL byte")
	case c.Line != "":
		return c.Line, nil
	}
	return "exec " + quote(c.Args), nil
}

// quote joins arguments to a line that a POSIX shell splits into the same
// arguments.
func quote(args []string) string {
	var b strings.Builder
	for i, arg := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		// In single quotes a shell expands nothing, but they cannot hold one.
		b.WriteString("'" + strings.ReplaceAll(arg, "'", `'\''`) + "'")
	}
	return b.String()
}
