package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
)

// A Link is a connection to a server, on which this program can be run.
type Link struct {
	host    inventory.Host
	conn    *ssh.Conn
	options Options
}

// Connect connects to a server.
func Connect(ctx context.Context, h inventory.Host, o Options) (*Link, error) {
	conn, err := ssh.Dial(ctx, h, o.Remote)
	if err != nil {
		return nil, err
	}
	return &Link{h, conn, o}, nil
}

// Close ends the connection.
func (l *Link) Close() error { return l.conn.Close() }

// maxAnswer bounds what Ask keeps, in bytes.
const maxAnswer = 256 << 20

// Ask runs the program with arguments of "servers", and returns its output. It may
// take as long as the options' Patience.
func (l *Link) Ask(ctx context.Context, args []string) ([]byte, error) {
	ctx, cancel := l.options.limit(ctx, l.options.patience())
	defer cancel()
	var b limited
	err := l.Run(ctx, args, strings.NewReader(""), &b)
	return b.Bytes(), err
}

// A limited buffer fails if more than maxAnswer bytes are written to it.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxAnswer {
		return 0, errors.New("the answer is too large")
	}
	return l.Buffer.Write(p)
}

// Run runs the program with arguments of "servers", and waits for its end. The
// error wraps a *ssh.ExitError if it failed there.
func (l *Link) Run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	s, err := launch(ctx, l.conn, l.host, l.options.Programs, args)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(s.Stdin, stdin)
		sent <- errors.Join(err, s.Stdin.Close())
	}()
	_, err = io.Copy(stdout, s.Stdout)
	if err != nil {
		s.Stdin.Close() // the program ends at the end of its input
	}
	waited := s.Wait()
	<-sent // a program need not read all of its input
	return errors.Join(err, waited)
}
