package ssh

import (
	"errors"
	"io"
	"strings"
)

// A Command is what to run on a server: a Line or Args, not both.
type Command struct {
	Line string   // for the login shell, or for sh with Sudo
	Args []string // a program and its arguments, handed on as they are by any POSIX shell

	Stdin  io.Reader // nothing if it is nil; of Run only
	Stdout io.Writer // nowhere if it is nil; of Run only
	Stderr io.Writer // nowhere if it is nil; written to by one goroutine

	// Sudo runs it as the host's Become.User, with Become.Password if sudo asks
	// for one. It makes no difference if root is to become root.
	Sudo bool
}

// line is what the remote shell reads.
func (c Command) line() (string, error) {
	switch {
	case (c.Line == "") == (len(c.Args) == 0):
		return "", errors.New("a command is a line or arguments")
	case strings.ContainsRune(c.Line+strings.Join(c.Args, ""), 0):
		return "", errors.New("no shell takes a NUL byte")
	case c.Line != "":
		return c.Line, nil
	}
	return quote(c.Args), nil
}

// quote writes arguments so that a POSIX shell reads just them.
func quote(args []string) string {
	var b strings.Builder
	for i, arg := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("'" + strings.ReplaceAll(arg, "'", `'\''`) + "'")
	}
	return b.String()
}
