package ssh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// A Conn is a login on a server. Several goroutines may use it at once.
type Conn struct {
	host   inventory.Host
	o      Options
	dialer *dialer
	client *ssh.Client
	slots  chan struct{} // one for each session that may be open

	terminal atomic.Bool // sudo refuses to run without one

	closed context.Context // ends with the connection; its cause is the reason
	close  context.CancelCauseFunc
	wanted context.Context // ends with Close: output that has arrived is dropped
	giveUp context.CancelFunc

	mu       sync.Mutex
	isClosed bool // by Close: no task is started any more
	tasks    sync.WaitGroup
}

func newConn(h inventory.Host, o Options, d *dialer) *Conn {
	c := &Conn{host: h, o: o, dialer: d, client: d.clients[len(d.clients)-1], slots: make(chan struct{}, o.Sessions)}
	c.closed, c.close = context.WithCancelCause(context.Background())
	c.wanted, c.giveUp = context.WithCancel(context.Background())
	c.spawn(c.keepAlive)
	c.spawn(func() {
		err := c.client.Wait()
		c.close(fmt.Errorf("%w: %w", ErrLost, cause(err)))
	})
	return c
}

// Close ends the connection and all commands on it, and waits for the goroutines of
// this package. It may be called more than once.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.isClosed = true
	c.close(net.ErrClosed)
	c.giveUp()
	c.mu.Unlock()
	c.dialer.close()
	c.tasks.Wait()
	return nil
}

// spawn starts a task that Close waits for, and reports false if it is too late.
func (c *Conn) spawn(task func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isClosed {
		c.tasks.Go(task)
	}
	return !c.isClosed
}

// keepAlive sends keepalive requests, and ends the connection if nothing arrives
// for too long. Any received byte counts as a sign of life, because the answer to
// the request may be queued behind much output.
func (c *Conn) keepAlive() {
	tick := time.NewTicker(c.o.KeepaliveInterval)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	waiting, silent := false, 0
	heard := c.dialer.base.heard.Load()
	for {
		select {
		case <-c.closed.Done():
			return
		case <-answered:
			waiting = false
		case <-tick.C:
			silent++
			// Silence counts only while a request is unanswered: an idle server has
			// nothing to send.
			if now := c.dialer.base.heard.Load(); now != heard || !waiting {
				heard, silent = now, 0
			}
			if silent >= c.o.KeepaliveCount {
				c.close(fmt.Errorf("%w: the server has sent nothing for %v", ErrLost, time.Duration(silent)*c.o.KeepaliveInterval))
				c.dialer.base.Close()
				return
			}
			// One request at a time: more would only queue up on a dead link.
			if !waiting {
				waiting = true
				c.spawn(func() {
					_, _, _ = c.client.SendRequest("keepalive@openssh.com", true, nil) // a refusal is an answer, and Wait notices the end
					answered <- struct{}{}
				})
			}
		}
	}
}

// settling is the time by which the end of a connection may be noticed after the
// end of its sessions.
const settling = 100 * time.Millisecond

// lost returns why a session ended: the reason of the connection's end, or err if
// the connection goes on.
func (c *Conn) lost(err error) error {
	// The connection knows the better reason, such as a timeout, but its goroutine
	// may be a moment behind.
	timer := time.NewTimer(settling)
	defer timer.Stop()
	select {
	case <-c.closed.Done():
		return context.Cause(c.closed)
	case <-timer.C:
		return fmt.Errorf("%w: %w", ErrLost, cause(err))
	}
}

// A channel is the SSH channel of a session, with the requests that the server
// sends on it.
type channel struct {
	ssh.Channel
	requests <-chan *ssh.Request
}

// open opens a channel. It returns when the connection ends, whereas x/crypto
// blocks forever if a channel is opened at that moment.
func (c *Conn) open() (channel, error) {
	type result struct {
		channel
		err error
	}
	if c.closed.Err() != nil {
		return channel{}, c.lost(nil)
	}
	opened := make(chan result, 1)
	go func() {
		ch, requests, err := c.client.OpenChannel("session", nil)
		opened <- result{channel{ch, requests}, err}
	}()
	select {
	case r := <-opened:
		return r.channel, r.err
	case <-c.closed.Done():
		return channel{}, c.lost(nil)
	}
}

// A countingConn is a connection that counts the bytes that arrive.
type countingConn struct {
	net.Conn
	heard atomic.Int64
}

// Read implements net.Conn.
func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.heard.Add(int64(n))
	return n, err
}
