package ssh

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
)

// A frame separates a command from everything else that the server prints and reads
// before it runs: the startup files of the login shell, PAM modules and sudo.
//
// The login shell is only asked to run sh, in words that sh, csh and fish parse alike.
// sh prints the greeting on stdout and stderr, and reads the script from stdin, since
// no line for a login shell can hold an arbitrary script: csh has no line breaks in
// quotes, and replaces exclamation marks. The script prints the starts right before the
// command. All texts are random, so that neither a banner nor a command can imitate
// them.
type frame struct {
	id   string
	sudo *sudoer // nil without sudo
}

// A sudoer is how sudo runs a command.
type sudoer struct {
	user     string
	password string // empty if none is known
	terminal bool   // sudo refuses to run without a terminal
}

func newFrame(sudo *sudoer) *frame { return &frame{rand.Text(), sudo} }

// The texts of a frame begin with a letter each, which the server joins with the
// frame's ID. The joined text is not in what is sent, so that a shell that prints its
// commands (set -x) does not print it.
const (
	letterGreeting  = "g"
	letterAsk       = "a" // sudo's prompt
	letterStartErr  = "e" // the start of the command's stderr
	letterStartOut  = "o" // the start of its stdout, which is printed later
	letterScript    = "s" // before the script in the input
	statusNoCommand = 125 // of sh if its input ends without the script
)

// loginLine returns the line for the login shell. A restricted shell refuses exec and
// names with a slash, and then runs the second command. No shell does both, because
// exec ends the first one.
func (f *frame) loginLine() string {
	// Single quotes hide everything in here from the shells that are no POSIX shells,
	// but ' \ and ! would not be hidden from all.
	sh := fmt.Sprintf(`printf %%s%%s %[1]s %[2]s >&2; printf %%s%%s %[1]s %[2]s; `+
		`while IFS= read -r l; do case $l in %[3]s%[2]s*) eval "$(printf %%b "${l#%[3]s%[2]s}")"; exit;; esac; done; exit %[4]d`,
		letterGreeting, f.id, letterScript, statusNoCommand)
	return fmt.Sprintf("exec /bin/sh -c '%[1]s'; sh -c '%[1]s'", sh)
}

// scriptLine returns the line of input that makes sh run a command line. Lines before
// it are ignored: startup files may have left some of their input.
func (f *frame) scriptLine(line string) string {
	script := fmt.Sprintf("printf %%s%%s %[1]s %[3]s >&2; printf %%s%%s %[2]s %[3]s\n", letterStartErr, letterStartOut, f.id) + line
	if f.sudo != nil {
		script = f.sudo.line(letterAsk+f.id, script)
	}
	var b strings.Builder
	b.WriteString(letterScript + f.id)
	for _, c := range []byte(script) {
		if c < ' ' || c == '\\' || c > '~' {
			fmt.Fprintf(&b, `\0%03o`, c) // as printf's %b decodes it
		} else {
			b.WriteByte(c)
		}
	}
	return b.String() + "\n"
}

// A step is an event that a scanner finds in the output of a server.
type step int

const (
	stepNone    step = iota
	stepGreeted      // sh waits for the script
	stepAsked        // sudo asks for the password
	stepStarted      // the command runs
)

// maxNoise bounds the output that is skipped before a command starts, in bytes, and
// maxChatter the end of it that is kept for an error.
const (
	maxNoise   = 16 << 20
	maxChatter = 8 << 10
)

// A scanner skips the output before the start of a command.
type scanner struct {
	texts map[step][]byte // of the same length

	isOpen  bool
	skipped int64
	chatter []byte // the end of the output since the last step
	pending []byte // may begin one of the texts
}

func (f *frame) scanner(letterStart string) *scanner {
	return &scanner{texts: map[step][]byte{
		stepGreeted: []byte(letterGreeting + f.id), stepAsked: []byte(letterAsk + f.id), stepStarted: []byte(letterStart + f.id),
	}}
}

// feed takes a piece of output, and returns the next step in it and the rest after
// that.
func (s *scanner) feed(text []byte) (step, []byte) {
	s.skipped += int64(len(text))
	s.pending = append(s.pending, text...)
	found, at, size := stepNone, len(s.pending), 0
	for step, want := range s.texts {
		size = len(want)
		if i := bytes.Index(s.pending, want); i >= 0 && i < at {
			found, at = step, i
		}
	}
	if found == stepNone {
		// A text may be split between two pieces.
		keep := min(len(s.pending), size-1)
		s.chatter = appendTail(s.chatter, s.pending[:len(s.pending)-keep], maxChatter)
		s.pending = append([]byte(nil), s.pending[len(s.pending)-keep:]...)
		return stepNone, nil
	}
	rest := s.pending[at+size:]
	s.chatter, s.pending = nil, nil
	s.isOpen = found == stepStarted
	return found, rest
}

// said returns the end of the skipped output since the last step.
func (s *scanner) said() string { return strings.TrimSpace(string(s.chatter) + string(s.pending)) }
