package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/agentless"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
	"github.com/adamant-sh/adamant/internal/text"
)

// Options configures how servers are reached.
type Options struct {
	Programs Programs
	Remote   ssh.Options
	Full     bool // read all files again, and ignore the agent's cache

	// Patience is the time that a server may take to be read and to answer; an hour
	// if it is 0. A change may take that in addition to its own time.
	Patience time.Duration
}

func (o Options) patience() time.Duration { return cmp.Or(o.Patience, time.Hour) }

// limit ends a context when a server has taken too long.
func (o Options) limit(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, most, fmt.Errorf("it took longer than %v", most))
}

// A Session is a connection to a server that answers as a peer.
type Session struct {
	Host inventory.Host
	Peer *facts.Peer

	conn   *ssh.Conn
	agent  *ssh.Session // nil without an agent
	end    func()       // of the peer in this process; nil with an agent
	cancel context.CancelFunc
}

// ErrNoProgram is returned when neither an agent nor this program can run on a
// server.
var ErrNoProgram = errors.New("no agent runs there")

// startScript runs the program for the server's machine if it is there. $1 is a list of
// machine=digest; the others are the program's arguments. It requests a missing
// program only if an executable file can be created, because sending the program
// would be in vain otherwise.
const startScript = `system=$(uname -sm)
echo "$system"
digest=
for known in $1; do
	[ "$system" != "Linux ${known%%=*}" ] || digest=${known#*=}
done
[ -n "$digest" ] || exit 0
dir=$(eval echo "~$(id -un)")/.cache/adamant
p=$dir/$digest
if ! [ -x "$p" ]; then
	umask 077
	probe=$(mkdir -p "$dir" 2>&1 && mktemp "$dir/.new.XXXXXX" 2>&1) && chmod 700 "$probe" || { echo "unwritable ${probe##*: }"; exit 0; }
	if [ -x "$probe" ]; then echo missing; else echo noexec; fi
	rm -f "$probe"
	exit 0
fi
shift
echo starting
exec "$p" "$@" --cache "$dir/scan"
`

// Open connects to a server and waits until its agent has read it, or reads it by
// plain commands if no agent can run there, which the peer's Note then explains. ctx
// must last as long as the session.
func Open(ctx context.Context, h inventory.Host, o Options) (_ *Session, err error) {
	conn, err := ssh.Dial(ctx, h, o.Remote)
	if err != nil {
		return nil, err
	}
	s := &Session{Host: h, conn: conn}
	ctx, s.cancel = o.limit(ctx, o.patience())
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	args := []string{"agent"}
	if o.Full {
		args = append(args, "--full")
	}
	if err = s.greet(ctx, o.Programs, args); errors.Is(err, ErrNoProgram) {
		err = s.readAgentless(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// greet starts the agent and waits until it has read the server.
func (s *Session) greet(ctx context.Context, ps Programs, args []string) (err error) {
	if s.agent, err = launch(ctx, s.conn, s.Host, ps, args); err != nil {
		return err
	}
	s.Peer, err = facts.Greet(s.Host.Name, agentOutput{s.agent}, s.agent.Stdin)
	var lost *facts.PeerError
	if errors.As(err, &lost) {
		err = lost.Err // the caller knows the name of the server
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) && exit.Status == notExecutable {
		return fmt.Errorf("%w: %w", ErrNoProgram, err)
	}
	return err
}

// notExecutable is the exit status of a shell that could not execute a program.
const notExecutable = 126

// agentOutput is the standard output of an agent. At its end Read returns why the
// agent ended, because that explains more than EOF.
type agentOutput struct{ *ssh.Session }

func (s agentOutput) Read(p []byte) (int, error) {
	n, err := s.Stdout.Read(p)
	if n == 0 && err != nil {
		err = exitReason(s.Session, err)
	}
	return n, err
}

// readAgentless reads a server without an agent, and puts the reason into the Note.
func (s *Session) readAgentless(ctx context.Context, why error) error {
	server, err := agentless.Read(ctx, s.conn, s.Host.Become.On)
	if err == nil {
		s.Peer, s.end, err = server.Peer(ctx, s.Host.Name)
	}
	if err != nil {
		return fmt.Errorf("%w; %w", why, err)
	}
	s.Peer.Note = "read by plain commands: " + why.Error()
	return nil
}

// launch starts the program with arguments of "servers", and sends it first if it
// is not there.
func launch(ctx context.Context, c *ssh.Conn, h inventory.Host, ps Programs, args []string) (*ssh.Session, error) {
	for _, sent := range []bool{false, true} {
		s, p, err := try(ctx, c, h, ps, args)
		if s != nil || err != nil {
			return s, err
		}
		if sent {
			break
		}
		err = p.send(ctx, c, h.Become.On)
		var exit *ssh.ExitError
		if errors.As(err, &exit) { // for example because the disk is full
			return nil, fmt.Errorf("%w: %w", ErrNoProgram, err)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the agent was sent, but is missing", ErrNoProgram)
}

// try starts the program. Without a session, the returned program must be sent first.
func try(ctx context.Context, c *ssh.Conn, h inventory.Host, ps Programs, args []string) (*ssh.Session, *Program, error) {
	s, err := c.Start(ctx, ssh.Command{
		Args: append([]string{"sh", "-c", startScript, "sh", ps.digests(), "servers"}, args...), Sudo: h.Become.On,
	})
	if err != nil {
		return nil, nil, err
	}
	system, err := line(s.Stdout)
	if err != nil {
		return nil, nil, exitReason(s, err)
	}
	p := ps.find(system)
	if p == nil {
		s.Stdin.Close()
		return nil, nil, ps.notFor(system)
	}
	state, err := line(s.Stdout)
	if err != nil {
		return nil, nil, exitReason(s, err)
	}
	switch state {
	case "starting":
		return s, p, nil
	case "missing":
		s.Stdin.Close()
		return nil, p, s.Wait()
	}
	s.Stdin.Close()
	if state == "noexec" {
		return nil, nil, fmt.Errorf("%w: the home directory is mounted noexec", ErrNoProgram)
	}
	if why, ok := strings.CutPrefix(state, "unwritable "); ok {
		return nil, nil, fmt.Errorf("%w: the home directory cannot be written to: %s", ErrNoProgram, text.Escape(why))
	}
	return nil, nil, errUnexpected
}

// maxLine bounds a line of startScript's output, in bytes.
const maxLine = 256

// line reads a line and no byte after it, because these belong to the agent.
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
	return "", errUnexpected
}

// errUnexpected is returned when the output of a server is not that of startScript.
var errUnexpected = errors.New("the server answers something else")

// exitReason returns why a program ended, or err if the program still runs or ended
// with success.
func exitReason(s *ssh.Session, err error) error {
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
func (s *Session) Close() error {
	if s.agent != nil {
		s.agent.Stdin.Close()
	}
	if s.end != nil {
		s.end()
	}
	defer s.cancel()
	return s.conn.Close()
}
