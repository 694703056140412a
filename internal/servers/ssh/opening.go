package ssh

import (
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// nudgeInterval is the time between line breaks that are sent to a login shell that
// has not run sh yet, because a startup file may be waiting for input.
const nudgeInterval = time.Second

// skip passes a piece of output through a scanner, and returns the part that belongs
// to the command.
func (s *Session) skip(sc *scanner, text []byte) []byte {
	for !sc.isOpen {
		var found step
		found, text = sc.feed(text)
		switch {
		case found == stepNone && sc.skipped > maxNoise:
			s.cancel(fmt.Errorf("%w: it prints more than %d MB before that", ErrShell, maxNoise>>20))
			return nil
		case found == stepNone:
			return nil
		case found == stepStarted:
			return text
		case found == stepGreeted:
			s.greeted.Store(true)
		}
		select {
		case s.steps <- found:
		case <-s.running:
		case <-s.done:
			return nil
		}
	}
	return text
}

// admit sends what the server needs to start the command, and reports whether it
// runs. Nothing else may write to the channel before.
func (s *Session) admit(channel ssh.Channel) bool {
	tick := time.NewTicker(nudgeInterval)
	defer tick.Stop()
	nudge, greeted, asked := tick.C, false, false
	for send := "\n"; ; {
		if send != "" {
			if _, err := channel.Write([]byte(send)); err != nil {
				return false // the shell has ended, and its exit status follows
			}
			send = ""
		}
		select {
		case <-nudge:
			send = "\n"
		case found := <-s.steps:
			switch {
			case found == stepGreeted && !greeted:
				send, greeted, nudge = s.script, true, nil
			case found == stepAsked && s.frame.sudo == nil:
			case found == stepAsked && asked: // the answer to a wrong password
				s.cancel(fmt.Errorf("%w: sudo does not accept the password", ErrSudo))
				return false
			case found == stepAsked:
				send, asked = s.frame.sudo.password+"\n", true
			}
		case <-s.running:
			return true
		case <-s.done:
			return false
		}
	}
}

// awaitRunning waits until the command runs.
func (s *Session) awaitRunning() error {
	late := time.NewTimer(s.conn.o.StartTimeout)
	defer late.Stop()
	select {
	case <-s.running:
		return nil
	case <-s.done:
	case <-late.C:
		s.cancel(s.late())
		<-s.done
	}
	select {
	case <-s.running: // and ended at once
		return nil
	default:
		return s.err
	}
}

// late returns the error for a command that has not been started in time.
func (s *Session) late() error {
	if s.greeted.Load() && s.frame.sudo != nil {
		return fmt.Errorf("%w: after %v sudo has neither asked for the password nor run the command", ErrSudo, s.conn.o.StartTimeout)
	}
	return fmt.Errorf("%w: after %v it has not; a startup file may wait for input", ErrShell, s.conn.o.StartTimeout)
}

// refusal returns why the login shell or sudo ended without running the command.
func (s *Session) refusal(status int) error {
	out, err := s.outScanner, s.errScanner
	if s.frame.sudo != nil && s.greeted.Load() {
		return s.frame.sudo.refusal(status, err.said())
	}
	said := lastLine(err.said())
	if said == "" {
		said = lastLine(out.said())
	}
	if said == "" {
		said = "no message"
	}
	return fmt.Errorf("%w: it exited with status %d: %s", ErrShell, status, said)
}
