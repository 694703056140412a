package ssh

import (
	"context"
	"fmt"
	"io"
)

// Run runs a command and waits for its end. The error wraps an *ExitError if the
// command failed, ErrSudo, ErrLost or the context's error. Run returns promptly when
// the context ends, even if the server hangs. A command need not read all of its
// Stdin. A goroutine that blocks in a read from Stdin outlives Run.
func (c *Conn) Run(ctx context.Context, cmd Command) error {
	if err := c.run(ctx, cmd); err != nil {
		return fmt.Errorf("run command on %s: %w", c.host.Name, err)
	}
	return nil
}

func (c *Conn) run(ctx context.Context, cmd Command) error {
	s, err := c.start(ctx, cmd)
	if err != nil {
		return err
	}
	if cmd.Stdin == nil {
		s.Stdin.Close()
	} else {
		go s.feed(cmd.Stdin)
	}
	out := cmd.Stdout
	if out == nil {
		out = io.Discard
	}
	if _, err := io.Copy(out, s.Stdout); err != nil {
		s.cancel(errorWriting("stdout", err))
	}
	return s.Wait()
}

// feed copies the caller's input to the command.
func (s *Session) feed(in io.Reader) {
	buffer := make([]byte, 32<<10)
	for s.isLive() {
		n, err := in.Read(buffer)
		if n > 0 {
			if _, werr := s.Stdin.Write(buffer[:n]); werr != nil {
				return
			}
		}
		if err == io.EOF {
			s.Stdin.Close()
			return
		}
		if err != nil {
			s.cancel(fmt.Errorf("read stdin: %w", err))
			return
		}
	}
}

func (s *Session) isLive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func errorWriting(what string, err error) error { return fmt.Errorf("write %s: %w", what, err) }
