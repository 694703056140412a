package ssh

import (
	"fmt"
	"strings"
)

// line returns the command line that runs a script. ask is the prompt for the password.
func (s *sudoer) line(ask, script string) string {
	// Without a password -n makes sudo fail at once instead of asking.
	args := []string{"sudo", "-H", "-n", "-u", s.user}
	if s.password != "" {
		args = []string{"sudo", "-H", "-S", "-p", ask, "-u", s.user}
	}
	line := "exec " + quote(append(args, "--", "sh", "-c", script))
	if !s.terminal {
		return line
	}
	// sudo with requiretty wants a controlling terminal. script(1) gives it one, but
	// input and output bypass that, because a terminal changes them.
	line = quote([]string{"script", "-qec", line + " <&3 >&4 2>&5", "/dev/null"})
	return "command -v script >/dev/null || { echo 'sudo needs a terminal (requiretty), and the server has no script(1)' >&2; exit 1; }\n" +
		"SHELL=/bin/sh; export SHELL\n" +
		"exec " + line + " 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1"
}

// A terminalError is returned by a sudo that wants a terminal.
type terminalError struct{ error }

func (e terminalError) Unwrap() error { return e.error }

// refusal returns why sudo ended without running the command.
func (s *sudoer) refusal(status int, said string) error {
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
	if s.password == "" {
		text += " (no password for sudo is known)"
	}
	err := fmt.Errorf("%w: %s", ErrSudo, text)
	// In all languages of sudo the word for it is the same.
	if !s.terminal && strings.Contains(strings.ToLower(said), "tty") {
		return terminalError{err}
	}
	return err
}

// becomes returns the user that sudo switches to.
func (c *Conn) becomes() string {
	if c.host.Become.User == "" {
		return "root"
	}
	return c.host.Become.User
}

func (c *Conn) isRoot() bool { return c.host.User == "root" && c.becomes() == "root" }
