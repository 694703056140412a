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

// maxChatter bounds how much of sudo's output is kept, in bytes.
const maxChatter = 8 << 10

// A gate stands between a session and its command until sudo has let it run. Up
// to then stderr is sudo's, and nothing but a password goes to its stdin. Two
// texts that nobody can guess tell the steps: sudo's prompt, and what the
// started command writes first.
type gate struct {
	password inventory.Secret
	ask      []byte
	started  []byte

	isOpen  bool
	asked   bool
	chatter []byte // what sudo said, the last of it
	pending []byte // may be the begin of a text to find
}

func newGate(password inventory.Secret) *gate {
	return &gate{password: password, ask: []byte("ask-" + rand.Text()), started: []byte("run-" + rand.Text())}
}

// line is the command line that runs another as a user.
func (g *gate) line(user, line string) string {
	sudo := []string{"sudo", "-H", "-n", "-u", user}
	if !g.password.IsZero() {
		sudo = []string{"sudo", "-H", "-S", "-p", string(g.ask), "-u", user}
	}
	return quote(append(sudo, "--", "sh", "-c", fmt.Sprintf("printf %%s %s >&2\n%s", g.started, line)))
}

// A step is what a gate has found.
type step int

const (
	stepNone    step = iota
	stepAsked        // sudo asks for the password
	stepStarted      // the command runs
)

// feed takes a piece of stderr and returns the next step in it and what follows.
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
	keep := min(len(g.pending), len(g.ask)-1)
	g.chatter = appendTail(g.chatter, g.pending[:len(g.pending)-keep], maxChatter)
	g.pending = append([]byte(nil), g.pending[len(g.pending)-keep:]...)
	return stepNone, nil
}

// guard passes stderr through the gate and returns what the command wrote.
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
		case g.asked:
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
		text = fmt.Sprintf("it ended with status %d and said nothing", status)
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
		s.cancel(fmt.Errorf("%w: after %v it has neither asked for the password nor run the command", ErrSudo, s.conn.o.SudoTimeout))
		<-s.done
	}
	select {
	case <-s.running: // and ended at once
		return nil
	default:
		return s.err
	}
}

// becomes is the user whom sudo makes of the one who logs in.
func (c *Conn) becomes() string {
	if c.host.Become.User == "" {
		return "root"
	}
	return c.host.Become.User
}

func (c *Conn) isRoot() bool { return c.host.User == "root" && c.becomes() == "root" }
