package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
)

// A Protocol is how a Balancer parses the bytes of its clients.
type Protocol uint8

const (
	Auto Protocol = iota // HTTP where a client begins with an HTTP/1 request line, TCP otherwise
	HTTP                 // HTTP/1.0 and 1.1, balanced per request
	TCP                  // anything, balanced per connection
)

// Options configures a Balancer. All fields but Address may be zero.
type Options struct {
	Address        string         // to listen on, such as 127.0.0.1:8080; port 0 takes a free one
	Protocol       Protocol       // how clients are read; see SetProtocol
	Forwarding     Forwarding     // likewise
	TLS            *TLS           // with the clients; nil for plain text; see SetTLS
	From           []netip.Prefix // networks of the clients that are accepted, others are cut off; nil for all
	BackendTimeout time.Duration  // how long a request or connection waits for a backend when there is none; 5 s if zero
	Connections    int            // clients at a time, others wait in the kernel's queue; 10,000 if zero

	rules *router // nil for none
}

const (
	defaultBackendTimeout = 5 * time.Second
	defaultConnections    = 10_000
	unsentLimit           = 2 * time.Minute // for data that a peer does not accept, in both directions
)

// A Balancer is one listening address whose connections and requests are spread
// over the backends of a Route. Its methods may be called concurrently.
type Balancer struct {
	options  Options
	listener *net.TCPListener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	slots    chan struct{} // one for each client
	setting  sync.Mutex    // held while reading is changed
	reading  atomic.Pointer[reading]
	secured  *TLS                   // of reading; setting guards it
	rules    atomic.Pointer[router] // nil without rules
	retired  atomic.Bool            // see retire

	mu      sync.Mutex
	closed  bool
	clients map[*net.TCPConn]struct{}
	groups  []*group            // of the route
	members map[string]*backend // of the route, by ID
	leaving map[*backend]bool   // out of the route, with something still open
	stats   map[string]*Stats   // by group, also of those that are no longer in the route
	changed chan struct{}       // closed by the next Set
	picks   uint64              // how often a backend was chosen
}

// Listen starts a Balancer, without backends until the first Set. It returns an
// error that wraps EADDRINUSE if another program listens on the address. The
// caller must Close the Balancer.
func Listen(ctx context.Context, o Options) (*Balancer, error) {
	l, err := listen(ctx, o.Address, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	return Accept(ctx, l, o)
}

// Accept is Listen with an open listener, which the Balancer closes. If that is nil, only
// the rules of another Balancer of a Pool lead to this one.
func Accept(ctx context.Context, l *net.TCPListener, o Options) (*Balancer, error) {
	if o.BackendTimeout == 0 {
		o.BackendTimeout = defaultBackendTimeout
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	b := &Balancer{
		options: o, listener: l,
		slots:   make(chan struct{}, o.Connections),
		clients: map[*net.TCPConn]struct{}{},
		members: map[string]*backend{}, leaving: map[*backend]bool{},
		stats: map[string]*Stats{}, changed: make(chan struct{}),
	}
	b.reading.Store(&reading{protocol: o.Protocol, forwards: o.Forwarding})
	b.rules.Store(o.rules)
	if err := b.SetTLS(o.TLS); err != nil {
		return nil, errors.Join(err, b.closeListener())
	}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if l != nil {
		b.wg.Go(b.accept)
	}
	b.wg.Go(b.reap)
	return b, nil
}

func (b *Balancer) closeListener() error {
	if b.listener == nil {
		return nil
	}
	return b.listener.Close()
}

// retire closes the listener and lets the clients finish; HTTP/1 clients get
// Connection: close with their next response.
func (b *Balancer) retire() {
	b.retired.Store(true)
	b.closeListener() // it has no other error than that it is closed
}

// connected returns the number of clients.
func (b *Balancer) connected() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.clients)
}

// reading is how the requests of a client are read and passed on.
type reading struct {
	protocol Protocol
	forwards Forwarding
	tls      *tls.Config // nil for plain text
}

// SetProtocol changes how clients are read that connect from now on.
func (b *Balancer) SetProtocol(p Protocol, f Forwarding) {
	b.setting.Lock()
	defer b.setting.Unlock()
	r := *b.reading.Load()
	r.protocol, r.forwards = p, f
	b.reading.Store(&r)
}

// Addr returns the address that the Balancer listens on.
func (b *Balancer) Addr() net.Addr { return b.listener.Addr() }

// Close stops listening, closes every connection with whatever is in flight on
// it, and returns when all goroutines have ended. Further calls do nothing.
func (b *Balancer) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.wg.Wait()
		return nil
	}
	b.closed = true
	b.cancel()
	err := b.closeListener()
	if b.retired.Load() { // which closed it before
		err = nil
	}
	for c := range b.clients {
		c.Close()
	}
	for _, bk := range b.backends() {
		bk.closeAll()
	}
	b.mu.Unlock()
	b.wg.Wait()
	return err
}

// accept accepts clients until the listener is closed.
func (b *Balancer) accept() {
	for {
		select {
		// Clients beyond the limit wait in the kernel's backlog without using
		// memory here.
		case b.slots <- struct{}{}:
		case <-b.ctx.Done():
			return
		}
		c, err := b.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file descriptors, or the client has gone
			<-b.slots
			clock.Sleep(b.ctx, 10*time.Millisecond)
			continue
		}
		if !b.accepts(c) {
			c.Close()
			<-b.slots
			continue
		}
		b.wg.Go(func() {
			defer func() { <-b.slots }()
			b.serve(c)
		})
	}
}

// accepts reports whether a client is of one of the networks in Options.From.
func (b *Balancer) accepts(c *net.TCPConn) bool {
	if b.options.From == nil {
		return true
	}
	client := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return slices.ContainsFunc(b.options.From, func(p netip.Prefix) bool { return p.Contains(client) })
}

// serve serves one client until it or the Balancer is done.
func (b *Balancer) serve(c *net.TCPConn) {
	defer c.Close()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.clients[c] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.clients, c)
		b.mu.Unlock()
	}()
	limitUnsent(c)
	s := newSession(b, c)
	if s.tls != nil && !s.client.handshake(s.tls) {
		return
	}
	defer s.client.end()
	switch s.protocol {
	case HTTP:
		s.serveHTTP()
	case TCP:
		s.serveTCP()
	default:
		s.serveAuto()
	}
}

// limitUnsent makes the kernel break a connection whose peer accepts no data
// (TCP_USER_TIMEOUT, tcp(7)). Unlike a deadline it costs nothing for each write
// and does not count the time in which there is nothing to send.
func limitUnsent(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // already closed; the first read reports it
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unsentLimit.Milliseconds()))
	})
}
