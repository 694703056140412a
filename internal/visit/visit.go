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
	args := []string{"servers", "agent"}
	if o.Full {
		args = append(args, "--full")
	}
	if err := v.begin(ctx, o.Program, args); err != nil {
		return nil, err
	}
	if v.Peer, err = server.Greet(h.Name, v.session.Stdout, v.session.Stdin); err != nil {
		return nil, v.whyNot(err)
	}
	return v, nil
}

// Sudo reports whether what is done on a server is done through sudo.
func Sudo(h inventory.Host) bool { return h.Become.On }

// begin starts the agent, and sends the program first if it is not there.
func (v *Visit) begin(ctx context.Context, p *Program, args []string) error {
	for _, sent := range []bool{false, true} {
		missing, err := v.try(ctx, p, args)
		if err != nil || !missing {
			return err
		}
		if sent {
			break
		}
		if err := p.send(ctx, v.conn, Sudo(v.Host)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: it was sent, and is not there", ErrNoProgram)
}

func (v *Visit) try(ctx context.Context, p *Program, args []string) (missing bool, err error) {
	v.session, err = v.conn.Start(ctx, remote.Command{
		Args: append([]string{"sh", "-c", start, "sh", p.digest}, args...), Sudo: Sudo(v.Host),
	})
	if err != nil {
		return false, err
	}
	system, err := line(v.session.Stdout)
	if err != nil {
		return false, v.whyNot(err)
	}
	if system != "Linux "+p.machine {
		return false, fmt.Errorf("%w: the server is %.80s, and this program is for Linux %s", ErrNoProgram, drift.Visible(system), p.machine)
	}
	state, err := line(v.session.Stdout)
	if err != nil {
		return false, v.whyNot(err)
	}
	if state == "missing" {
		return true, v.session.Wait()
	}
	return false, nil
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

// whyNot says what the agent said before it ended, if it did.
func (v *Visit) whyNot(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	v.session.Stdin.Close()
	if why := v.session.Wait(); why != nil {
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

