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

// Options of a connection; the zero value is how ssh(1) would connect.
type Options struct {
	// Agent is the socket of an ssh-agent, SSH_AUTH_SOCK if it is empty. An agent
	// that cannot be reached has no keys.
	Agent string

	// AskPassword asks somebody for a password or for what opens a key. It is
	// called by Dial only, and the time it takes does not count. Nobody is asked
	// if it is nil.
	AskPassword func(prompt string) (string, error)

	Home             string   // where .ssh is; the user's if it is empty
	SystemKnownHosts []string // /etc/ssh/ssh_known_hosts and ssh_known_hosts2 if it is nil

	// A connection is lost when the server has sent nothing for KeepaliveCount
	// times KeepaliveInterval, although it was asked to. 5s and 3 if they are 0.
	KeepaliveInterval time.Duration
	KeepaliveCount    int

	// Sessions is how many commands run at once, others wait. 8 if it is 0: sshd
	// allows 10 on a connection.
	Sessions int

	// SudoTimeout is how long sudo may take until it starts a command; 60s if it
	// is 0. It bounds what waits for an answer that nobody gives.
	SudoTimeout time.Duration
}

func (o Options) withDefaults() Options {
	o.Agent = cmp.Or(o.Agent, os.Getenv("SSH_AUTH_SOCK"))
	o.KeepaliveInterval = cmp.Or(o.KeepaliveInterval, 5*time.Second)
	o.KeepaliveCount = cmp.Or(o.KeepaliveCount, 3)
	o.Sessions = cmp.Or(o.Sessions, 8)
	o.SudoTimeout = cmp.Or(o.SudoTimeout, time.Minute)
	if o.Home == "" {
		o.Home, _ = os.UserHomeDir() // without one there are no default keys
	}
	if o.SystemKnownHosts == nil {
		o.SystemKnownHosts = []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	}
	return o
}

// errSlow ends a hop that takes longer than its ConnectTimeout.
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

// A dialer is the way to a host as far as it has got.
type dialer struct {
	o       Options
	keys    *keyring
	base    *countingConn // carries all the others
	clients []*ssh.Client // one a hop
}

// close ends all hops at once: a channel through a server that hangs ends with
// the connection below it.
func (d *dialer) close() {
	if d.base != nil {
		d.base.Close()
	}
	for _, c := range d.clients {
		c.Wait()
	}
}

// endpoint is a hop as errors call it.
func endpoint(j inventory.Jump) string {
	return net.JoinHostPort(j.Address, strconv.Itoa(j.Port))
}

// hop goes one server further. If it fails, the whole way is to be closed.
func (d *dialer) hop(parent context.Context, j inventory.Jump, password inventory.Secret) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	timeout := cmp.Or(j.ConnectTimeout, inventory.DefaultConnectTimeout)
	timer := time.AfterFunc(timeout, func() { cancel(errSlow) })
	defer timer.Stop()

	l := &login{hop: j, password: password, keys: d.keys}
	if d.o.AskPassword != nil {
		l.ask = func(prompt string) (string, error) {
			timer.Stop() // the clock, as long as somebody thinks
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
		return inner // without "handshake failed"
	}
	if err != nil {
		return err
	}
	d.clients = append(d.clients, ssh.NewClient(c, channels, requests))
	if !stop() {
		return context.Cause(ctx)
	}
	return nil
}
