package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// A Session is a running command. It ends with its context.
type Session struct {
	Stdin  io.WriteCloser
	Stdout io.Reader // to be read to its end before Wait

	conn   *Conn
	parent context.Context
	ctx    context.Context // ends with the parent, the session or Conn.Close
	cancel context.CancelCauseFunc
	stdin  *io.PipeReader
	stdout *io.PipeWriter
	stderr *stderr
	pumps  sync.WaitGroup

	frame      *frame
	script     string // starts the command
	outScanner *scanner
	errScanner *scanner
	steps      chan step
	greeted    atomic.Bool

	mu      sync.Mutex
	channel ssh.Channel // nil until it is open

	running chan struct{} // closed when the command runs
	skipped chan struct{} // closed when it runs or never will
	end     sync.Once
	done    chan struct{} // closed when err is set
	err     error
}

// Start starts a command and returns when it is running, with Sudo after sudo has
// permitted it. The session has the output of the command alone, whatever startup files
// of the login shell print. Stdin and Stdout of the command must be nil, because the session has
// its own. The session ends with the context, and the server is asked to kill the
// command. sshd cannot kill a command under sudo, which only notices the end of its
// input and output. The caller must call Wait.
func (c *Conn) Start(ctx context.Context, cmd Command) (*Session, error) {
	if cmd.Stdin != nil || cmd.Stdout != nil {
		return nil, errors.New("start command: Stdin and Stdout are the session's")
	}
	s, err := c.start(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("start command on %s: %w", c.host.Name, err)
	}
	return s, nil
}

func (c *Conn) start(parent context.Context, cmd Command) (*Session, error) {
	line, err := cmd.line()
	if err != nil {
		return nil, err
	}
	s, err := c.startFramed(parent, cmd, line)
	var wants terminalError
	if errors.As(err, &wants) {
		c.terminal.Store(true)
		s, err = c.startFramed(parent, cmd, line)
	}
	return s, err
}

// startFramed starts a command line of sh.
func (c *Conn) startFramed(parent context.Context, cmd Command, line string) (*Session, error) {
	var sudo *sudoer
	if cmd.Sudo && !c.isRoot() {
		sudo = &sudoer{c.becomes(), c.host.Become.Password.Reveal(), c.terminal.Load()}
	}
	f := newFrame(sudo)
	s := &Session{
		conn: c, parent: parent, stderr: &stderr{to: cmd.Stderr},
		frame: f, script: f.scriptLine(line), outScanner: f.scanner(letterStartOut), errScanner: f.scanner(letterStartErr),
		steps: make(chan step), running: make(chan struct{}), skipped: make(chan struct{}), done: make(chan struct{}),
	}
	if err := c.slot(parent); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancelCause(parent)
	in, out := io.Pipe()
	s.stdin, s.Stdin = in, out
	s.Stdout, s.stdout = io.Pipe()
	if !c.spawn(s.live) {
		<-c.slots
		s.cancel(nil)
		return nil, c.lost(nil)
	}
	context.AfterFunc(s.ctx, s.cut)
	if err := s.awaitRunning(); err != nil {
		s.cancel(err)
		return nil, err
	}
	return s, nil
}

// slot waits until another session may be opened.
func (c *Conn) slot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closed.Done():
		return c.lost(nil)
	}
}

// live runs the session until it has ended on the server. Its slot is free only
// then, because sshd counts a session that was cut here until it has ended there.
func (s *Session) live() {
	stop := context.AfterFunc(s.conn.wanted, func() { s.cancel(s.conn.lost(nil)) })
	err := s.run()
	<-s.conn.slots
	s.finish(err)
	s.pumps.Wait()
	stop()
	s.cancel(nil)
}

// run runs the command and returns its result.
func (s *Session) run() error {
	channel, err := s.conn.open()
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		return fmt.Errorf("the server opens no session: %s", excerpt(refused.Message))
	}
	if err != nil {
		return s.conn.lost(err)
	}
	exited := make(chan exit, 1)
	s.pumps.Go(func() { exited <- readExit(channel.requests) })
	s.hold(channel)
	taken, err := channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{s.frame.loginLine()}))
	if err != nil {
		return s.conn.lost(err)
	}
	if !taken {
		channel.Close()
		return errors.New("the server runs no commands for this user")
	}
	said := make(chan struct{})
	s.pumps.Go(func() { defer close(said); s.listen(channel) })
	s.pumps.Go(func() { s.receive(channel) })
	s.pumps.Go(func() { s.send(channel) })
	// The exit status may arrive before the last of stderr, which the error shows, and
	// before the start of stdout.
	how := <-exited
	<-said
	<-s.skipped
	return s.result(how)
}

// hold stores the channel for hangUp, and hangs up if the session was cut before.
func (s *Session) hold(channel ssh.Channel) {
	s.mu.Lock()
	s.channel = channel
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		s.hangUp()
	}
}

// result returns the error of a command, nil if it exited with status 0. A status
// before the command was started is that of sudo or the login shell.
func (s *Session) result(how exit) error {
	switch {
	case !how.said:
		return s.conn.lost(errors.New("the server did not report how the command ended"))
	case !s.outScanner.isOpen:
		return s.refusal(how.status)
	case how.status == 0 && how.signal == "":
		return nil
	}
	return &ExitError{Status: how.status, Signal: how.signal, Stderr: s.stderr.end()}
}

// cut ends the session on this side without waiting for the server.
func (s *Session) cut() {
	err := context.Cause(s.ctx)
	if s.parent.Err() != nil {
		err = context.Cause(s.parent)
	}
	// After Wait has returned the caller may reuse its writer, so it must not be
	// written to any more.
	s.stderr.detach()
	s.finish(err)
	s.stdout.CloseWithError(err)
	s.conn.spawn(s.hangUp)
}

// hangUp sends KILL to the command. It may block if the link is down.
func (s *Session) hangUp() {
	s.mu.Lock()
	channel := s.channel
	s.mu.Unlock()
	if channel != nil {
		_, _ = channel.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{"KILL"})) // it may have ended
		_ = channel.Close()
	}
}

// finish sets how the session ended. Only the first call has an effect.
func (s *Session) finish(err error) {
	s.end.Do(func() {
		s.err = err
		close(s.done)
		s.stdin.CloseWithError(io.ErrClosedPipe)
	})
}

// Wait waits for the end of the command and of its stderr. The error is an
// *ExitError, wraps ErrLost, or is the context's cause.
func (s *Session) Wait() error {
	<-s.done
	return s.err
}
