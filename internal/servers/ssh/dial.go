package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// Options configures a connection. The zero value connects as ssh(1) does.
type Options struct {
	// Agent is the socket of an ssh-agent, SSH_AUTH_SOCK if it is empty. An agent
	// that cannot be reached has no keys.
	Agent string

	// AskPassword asks the user for a password or a passphrase. Only Dial calls
	// it, and its time does not count toward timeouts. If it is nil, nobody is
	// asked.
	AskPassword func(prompt string) (string, error)

	Home             string   // directory of .ssh; the user's home if it is empty
	SystemKnownHosts []string // /etc/ssh/ssh_known_hosts and ssh_known_hosts2 if it is nil

	// A connection is lost when the server has sent nothing for KeepaliveCount
	// times KeepaliveInterval after a request. 5s and 3 if they are 0.
	KeepaliveInterval time.Duration
	KeepaliveCount    int

	// Sessions bounds the commands that run at the same time; others wait. 8 if it
	// is 0, because sshd allows 10 on a connection (MaxSessions).
	Sessions int

	// StartTimeout is the time that the login shell and sudo may take to start a
	// command; 60s if it is 0. Without it a startup file or a sudo that asks a
	// question would block forever.
	StartTimeout time.Duration
}

func (o Options) withDefaults() Options {
	o.Agent = cmp.Or(o.Agent, os.Getenv("SSH_AUTH_SOCK"))
	o.KeepaliveInterval = cmp.Or(o.KeepaliveInterval, 5*time.Second)
	o.KeepaliveCount = cmp.Or(o.KeepaliveCount, 3)
	o.Sessions = cmp.Or(o.Sessions, 8)
	o.StartTimeout = cmp.Or(o.StartTimeout, time.Minute)
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir() // without one there are no default keys
	}
	if o.SystemKnownHosts == nil {
		o.SystemKnownHosts = []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	}
	return o
}

// errSlow is the cause of the end of a hop that takes longer than its
// ConnectTimeout.
var errSlow = errors.New("no answer in time")

// Dial connects to a host through its jump hosts, and logs in. Each hop may take its
// ConnectTimeout. The error wraps ErrUnreachable, ErrUnknownHost,
// ErrHostKeyChanged, ErrAuth or the context's.
func Dial(ctx context.Context, h inventory.Host, o Options) (*Conn, error) {
	o = o.withDefaults()
	d := &dialer{o: o, keys: newKeyring(o)}
	defer d.keys.close()
	hops := append(slices.Clone(h.ProxyJump), inventory.Jump{
		Name: h.Name, Address: h.Address, Port: h.Port, User: h.User, IdentityFiles: h.IdentityFiles,
		IdentitiesOnly: h.IdentitiesOnly, HostKeyAlias: h.HostKeyAlias, UserKnownHosts: h.UserKnownHosts,
		ConnectTimeout: h.ConnectTimeout,
	})
	for i, j := range hops {
		// The password is for the host, and a jump host must not learn it.
		var password inventory.Secret
		if i == len(hops)-1 {
			password = h.Password
		}
		if err := d.hop(ctx, j, password); err != nil {
			d.close()
			return nil, fmt.Errorf("connect to %s: %w", h.Name, err)
		}
	}
	return newConn(h, o, d), nil
}

// A dialer is a chain of connections to the hops of a host that were reached so
// far.
type dialer struct {
	o       Options
	keys    *keyring
	base    *countingConn // to the first hop; carries all the others
	clients []*ssh.Client // one for each hop
}

// close ends all hops at once by closing the first connection. Closing a channel
// through a server that hangs could block.
func (d *dialer) close() {
	if d.base != nil {
		d.base.Close()
	}
	for _, c := range d.clients {
		c.Wait()
	}
}

// endpoint returns the address and port of a hop, as errors show them.
func endpoint(j inventory.Jump) string {
	return net.JoinHostPort(j.Address, strconv.Itoa(j.Port))
}

// hop connects to the next hop. If it fails, the caller closes the dialer.
func (d *dialer) hop(parent context.Context, j inventory.Jump, password inventory.Secret) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	timeout := cmp.Or(j.ConnectTimeout, inventory.DefaultConnectTimeout)
	timer := time.AfterFunc(timeout, func() { cancel(errSlow) })
	defer timer.Stop()

	l := &login{hop: j, password: password, keys: d.keys}
	if d.o.AskPassword != nil {
		l.ask = func(prompt string) (string, error) {
			timer.Stop() // the user may take any time to answer
			defer timer.Reset(timeout)
			text, err := d.o.AskPassword(prompt)
			l.declined = l.declined || err != nil
			return text, err
		}
	}
	config, err := l.config(d.o)
	if err != nil {
		return err
	}
	if err = d.handshake(ctx, l, config); err == nil {
		return nil
	}
	switch {
	case parent.Err() != nil:
		return parent.Err()
	case errors.Is(context.Cause(ctx), errSlow):
		return fmt.Errorf("%w: %s: no answer within %v", ErrUnreachable, endpoint(j), timeout)
	}
	return l.explain(err)
}

// handshake connects to a hop, verifies its key and logs in.
func (d *dialer) handshake(ctx context.Context, l *login, config *ssh.ClientConfig) error {
	if d.base == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", endpoint(l.hop))
		if err != nil {
			return err
		}
		d.base = &countingConn{Conn: conn}
	}
	// Neither the handshake nor the agent's protocol takes a context, so both
	// connections are closed to interrupt them.
	stop := context.AfterFunc(ctx, func() {
		d.base.Close()
		d.keys.close()
	})
	defer stop()
	var conn net.Conn = d.base
	if len(d.clients) > 0 {
		var err error
		if conn, err = d.clients[len(d.clients)-1].DialContext(ctx, "tcp", endpoint(l.hop)); err != nil {
			return err
		}
	}
	c, channels, requests, err := ssh.NewClientConn(conn, endpoint(l.hop), config)
	if inner := errors.Unwrap(err); inner != nil {
		return inner // explain adds the step at which it failed
	}
	if err != nil {
		return err
	}
	d.clients = append(d.clients, ssh.NewClient(c, channels, requests))
	// The context ended during the handshake, so the connection is being closed.
	if !stop() {
		return context.Cause(ctx)
	}
	return nil
}
