package ssh

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// maxChatter bounds the kept part of sudo's output, in bytes.
const maxChatter = 8 << 10

// A gate separates the output of sudo from that of its command. Until the command
// runs, stderr is sudo's, and nothing but the password goes to its stdin.
//
// sudo does not report whether it asks, refuses or has started the command. Two texts
// on stderr show it: its prompt, and the first output of the started command. They are
// random, so that neither a banner nor the command can imitate them.
type gate struct {
	password inventory.Secret
	ask      []byte
	started  []byte

	isOpen  bool
	asked   bool
	chatter []byte // the end of sudo's output
	pending []byte // may begin one of the texts
}

func newGate(password inventory.Secret) *gate {
	return &gate{password: password, ask: []byte("ask-" + rand.Text()), started: []byte("run-" + rand.Text())}
}

// line returns the command line that runs another one as a user.
func (g *gate) line(user, line string) string {
	// Without a password -n makes sudo fail at once instead of asking.
	sudo := []string{"sudo", "-H", "-n", "-u", user}
	if !g.password.IsZero() {
		sudo = []string{"sudo", "-H", "-S", "-p", string(g.ask), "-u", user}
	}
	return quote(append(sudo, "--", "sh", "-c", fmt.Sprintf("printf %%s %s >&2\n%s", g.started, line)))
}

// A step is an event that a gate finds in stderr.
type step int

const (
	stepNone    step = iota
	stepAsked        // sudo asks for the password
	stepStarted      // the command runs
)

// feed takes a piece of stderr, and returns the next step in it and the rest after
// that.
func (g *gate) feed(text []byte) (step, []byte) {
	g.pending = append(g.pending, text...)
	ask, run := bytes.Index(g.pending, g.ask), bytes.Index(g.pending, g.started)
	switch {
	case run >= 0 && (ask < 0 || run < ask):
		rest := g.pending[run+len(g.started):]
		g.isOpen, g.pending = true, nil
		return stepStarted, rest
	case ask >= 0:
		rest := g.pending[ask+len(g.ask):]
		g.chatter, g.pending = nil, nil
		return stepAsked, rest
	}
	// A text may be split between two pieces. Both texts have the same length.
	keep := min(len(g.pending), len(g.ask)-1)
	g.chatter = appendTail(g.chatter, g.pending[:len(g.pending)-keep], maxChatter)
	g.pending = append([]byte(nil), g.pending[len(g.pending)-keep:]...)
	return stepNone, nil
}

// guard passes a piece of stderr through the gate, answers sudo, and returns the
// part that the command wrote.
func (s *Session) guard(channel ssh.Channel, g *gate, text []byte) []byte {
	for {
		var found step
		found, text = g.feed(text)
		switch {
		case found == stepNone:
			return nil
		case found == stepStarted:
			close(s.running)
			return text
		case g.asked: // a second question is the answer to a wrong password
			s.cancel(fmt.Errorf("%w: sudo does not accept the password", ErrSudo))
			return nil
		}
		g.asked = true
		if _, err := channel.Write([]byte(g.password.Reveal() + "\n")); err != nil {
			return nil // sudo has ended, and its exit status follows
		}
	}
}

// refusal returns why sudo ended without running the command.
func (g *gate) refusal(status int) error {
	said := strings.TrimSpace(string(g.chatter) + string(g.pending))
	if status == 127 {
		return fmt.Errorf("%w: there is no sudo on the server", ErrSudo)
	}
	var lines []string
	for line := range strings.Lines(said) {
		if line = strings.TrimPrefix(strings.TrimSpace(line), "sudo: "); line != "" {
			lines = append(lines, line)
		}
	}
	text := excerpt(strings.Join(lines[max(0, len(lines)-3):], "; "))
	if text == "" {
		text = fmt.Sprintf("sudo exited with status %d and no message", status)
	}
	if g.password.IsZero() {
		text += " (no password for sudo is known)"
	}
	return fmt.Errorf("%w: %s", ErrSudo, text)
}

// awaitRunning waits until the command runs.
func (s *Session) awaitRunning() error {
	var late <-chan time.Time
	if s.stderr.gate != nil {
		timer := time.NewTimer(s.conn.o.SudoTimeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-s.running:
		return nil
	case <-s.done:
	case <-late:
		s.cancel(fmt.Errorf("%w: after %v sudo has neither asked for the password nor run the command", ErrSudo, s.conn.o.SudoTimeout))
		<-s.done
	}
	select {
	case <-s.running: // and ended at once
		return nil
	default:
		return s.err
	}
}

// becomes returns the user that sudo switches to.
func (c *Conn) becomes() string {
	if c.host.Become.User == "" {
		return "root"
	}
	return c.host.Become.User
}

func (c *Conn) isRoot() bool { return c.host.User == "root" && c.becomes() == "root" }
