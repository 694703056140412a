package visit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/inventory"
	"github.com/adamant-sh/adamant/internal/remote"
	"github.com/adamant-sh/adamant/internal/server"
)

// Options say how servers are visited.
type Options struct {
	Program *Program
	Remote  remote.Options
	Full    bool // read all files again, whatever the agent remembers
}

// A Visit is a server that is being asked.
type Visit struct {
	Host inventory.Host
	Peer *server.Peer

	conn    *remote.Conn
	session *remote.Session
}

// ErrNoProgram says that this program does not run on a server.
var ErrNoProgram = errors.New("this program does not run there")

// start runs the program if it is there. $1 is its digest; the others are its
// arguments.
const start = `uname -sm
dir=$(eval echo "~$(id -un)")/.cache/adamant
p=$dir/$1
[ -x "$p" ] || { echo missing; exit 0; }
shift
echo starting
exec "$p" "$@" --cache "$dir/scan"
`

// Open connects to a server and waits until its agent has read it. ctx must last
// as long as the visit.
func Open(ctx context.Context, h inventory.Host, o Options) (_ *Visit, err error) {
	conn, err := remote.Dial(ctx, h, o.Remote)
	if err != nil {
		return nil, err
	}
	v := &Visit{Host: h, conn: conn}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	args := []string{"agent"}
	if o.Full {
		args = append(args, "--full")
	}
	if v.session, err = launch(ctx, conn, h, o.Program, args); err != nil {
		return nil, err
	}
	if v.Peer, err = server.Greet(h.Name, v.session.Stdout, v.session.Stdin); err != nil {
		return nil, whyNot(v.session, err)
	}
	return v, nil
}

// launch starts the program with arguments of "servers", and sends it first if it
// is not there.
func launch(ctx context.Context, c *remote.Conn, h inventory.Host, p *Program, args []string) (*remote.Session, error) {
	for _, sent := range []bool{false, true} {
		s, err := try(ctx, c, h, p, args)
		if s != nil || err != nil {
			return s, err
		}
		if sent {
			break
		}
		if err := p.send(ctx, c, h.Become.On); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: it was sent, and is not there", ErrNoProgram)
}

// try starts the program; there is no session if it is not there.
func try(ctx context.Context, c *remote.Conn, h inventory.Host, p *Program, args []string) (*remote.Session, error) {
	s, err := c.Start(ctx, remote.Command{
		Args: append([]string{"sh", "-c", start, "sh", p.digest, "servers"}, args...), Sudo: h.Become.On,
	})
	if err != nil {
		return nil, err
	}
	system, err := line(s.Stdout)
	if err != nil {
		return nil, whyNot(s, err)
	}
	if system != "Linux "+p.machine {
		s.Stdin.Close()
		return nil, fmt.Errorf("%w: the server is %.80s, and this program is for Linux %s", ErrNoProgram, drift.Visible(system), p.machine)
	}
	state, err := line(s.Stdout)
	if err != nil {
		return nil, whyNot(s, err)
	}
	if state == "missing" {
		s.Stdin.Close()
		return nil, s.Wait()
	}
	return s, nil
}

// maxLine bounds a line that is no frame, in bytes.
const maxLine = 256

// line reads one and not a byte more.
func line(r io.Reader) (string, error) {
	var b strings.Builder
	var one [1]byte
	for b.Len() < maxLine {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return b.String(), nil
		}
		b.WriteByte(one[0])
	}
	return "", errors.New("the server answers something else")
}

// whyNot says what a program said before it ended, if it did.
func whyNot(s *remote.Session, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	s.Stdin.Close()
	if why := s.Wait(); why != nil {
		return why
	}
	return err
}

// Close ends the agent and the connection.
func (v *Visit) Close() error {
	if v.session != nil {
		v.session.Stdin.Close()
	}
	return v.conn.Close()
}
