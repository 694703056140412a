// Package names is the DNS server of the pods of one controller: it answers the names
// of Services and of their pods, and passes other questions on to the resolvers of the
// machine. It knows no pods; a Zone has everything that it answers.
package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// serverPort is the port of DNS.
const serverPort = 53

const (
	maxConnections = 128 // of TCP
	maxForwarded   = 256 // questions at a time that wait for other servers
	idleLimit      = 5 * time.Second
	endLimit       = 2 * time.Second // for questions that are being answered
	// maxUDP is the size that avoids fragments (DNS flag day 2020).
	maxUDP = 1232
)

// Options configures a Server. The zero value works.
type Options struct {
	// Shared lets another process listen at the same address, which takes over.
	Shared bool

	resolvers string // the file in the format of resolv.conf(5); that of the machine if empty
	port      int    // instead of serverPort; 0 for that
}

// A Server is a DNS server. It is safe for concurrent use.
type Server struct {
	opts      Options
	upstream  *upstream
	table     atomic.Pointer[table]
	forwarded chan struct{} // a slot for each question that is passed on

	mu      sync.Mutex
	address netip.Addr // that the Server listens at; zero if it does not
	servers []listening
	closed  bool
}

// listening is a server of one protocol.
type listening struct {
	*dns.Server
	ended chan struct{} // is closed once its questions are answered
}

// New returns a Server that does not listen before Set. The caller must Close it.
func New(o Options) *Server {
	return &Server{opts: o, upstream: newUpstream(o.resolvers), forwarded: make(chan struct{}, maxForwarded)}
}

// Set replaces what the Server answers, and listens at the address of the Zone. With
// nil it stops listening. It returns an error if it cannot listen, which wraps
// EADDRINUSE if another program does; the next Set tries again.
func (s *Server) Set(z *Zone) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if z == nil {
		s.end()
		return nil
	}
	s.table.Store(newTable(*z))
	if s.address == z.Address {
		return nil
	}
	s.end()
	return s.open(z.Address)
}

// Zone returns what the Server answers, or nil if nothing was Set.
func (s *Server) Zone() *Zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.address.IsValid() {
		return nil
	}
	return &s.table.Load().zone
}

// Close stops the Server. Set does nothing from then on.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.end()
	return nil
}

// open starts to listen. The caller holds mu.
func (s *Server) open(a netip.Addr) error {
	port := s.opts.port
	if port == 0 {
		port = serverPort
	}
	address := netip.AddrPortFrom(a, uint16(port)).String()
	config := net.ListenConfig{}
	if s.opts.Shared {
		config.Control = share
	}
	packets, err := config.ListenPacket(context.Background(), "udp4", address)
	if err != nil {
		return listenError(address, err)
	}
	listener, err := config.Listen(context.Background(), "tcp4", address)
	if err != nil {
		packets.Close()
		return listenError(address, err)
	}
	handler := dns.HandlerFunc(s.serve)
	for _, one := range []*dns.Server{
		{PacketConn: packets, Handler: handler, UDPSize: 4096},
		{Listener: newLimited(listener, maxConnections), Handler: handler, ReadTimeout: idleLimit, WriteTimeout: idleLimit, IdleTimeout: func() time.Duration { return idleLimit }},
	} {
		started, ended := make(chan struct{}), make(chan struct{})
		one.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			one.ActivateAndServe() // ends with Shutdown
		}()
		<-started
		s.servers = append(s.servers, listening{one, ended})
	}
	s.address = a
	return nil
}

func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("names of Services do not resolve: another program listens on %s: %w", address, syscall.EADDRINUSE)
	}
	return fmt.Errorf("names of Services do not resolve: listen on %s: %w", address, err)
}

// share sets SO_REUSEPORT, see socket(7).
func share(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, failed)
}

// end stops listening. The caller holds mu.
func (s *Server) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	for _, one := range s.servers {
		one.ShutdownContext(ctx) // a question under way is lost after endLimit
	}
	for _, one := range s.servers {
		select {
		case <-one.ended:
		case <-ctx.Done(): // it ends within forwardLimit
		}
	}
	s.servers, s.address = nil, netip.Addr{}
}

// serve answers one question.
func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	t := s.table.Load()
	client, err := netip.ParseAddrPort(w.RemoteAddr().String())
	if err != nil || !t.isClient(client.Addr().Unmap()) {
		// No answer: the sender's address may be forged, and an answer to it would be
		// an attack on somebody else.
		w.Close()
		return
	}
	_, isTCP := w.RemoteAddr().(*net.TCPAddr)
	m := s.reply(t, q, isTCP)
	size := dns.MaxMsgSize
	if !isTCP {
		size = dns.MinMsgSize
	}
	if opt := q.IsEdns0(); opt != nil {
		if !isTCP {
			size = min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
		}
		if m.IsEdns0() == nil {
			m.SetEdns0(maxUDP, false)
		}
	}
	m.Truncate(size)
	w.WriteMsg(m) // the client asks again if this fails
}

// reply returns the answer to a message.
func (s *Server) reply(t *table, q *dns.Msg, isTCP bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case q.Question[0].Qclass != dns.ClassINET || q.Question[0].Qtype == dns.TypeANY || isTransfer(q.Question[0].Qtype):
		m.Rcode = dns.RcodeRefused
	case t.owns(strings.ToLower(q.Question[0].Name)):
		if elsewhere := t.answer(m, q.Question[0]); elsewhere != "" {
			s.follow(t, m, elsewhere, isTCP)
		}
	default:
		return s.forward(q, isTCP)
	}
	return m
}

func isTransfer(kind uint16) bool { return kind == dns.TypeAXFR || kind == dns.TypeIXFR }

// follow adds the addresses of another name to an answer, because a client asks only
// once. An external name that leads to another one of this zone is followed once.
func (s *Server) follow(t *table, m *dns.Msg, name string, isTCP bool) {
	q := new(dns.Msg)
	q.SetQuestion(name, m.Question[0].Qtype)
	var found *dns.Msg
	if t.owns(name) {
		found = new(dns.Msg)
		found.SetReply(q)
		t.answer(found, q.Question[0])
	} else {
		found = s.forward(q, isTCP)
	}
	m.Rcode, m.Truncated = found.Rcode, found.Truncated
	m.Answer = append(m.Answer, found.Answer...)
}

// forward returns the answer of another server, or an error as an answer.
func (s *Server) forward(q *dns.Msg, isTCP bool) *dns.Msg {
	fail := func() *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) }
	select {
	case s.forwarded <- struct{}{}:
		defer func() { <-s.forwarded }()
	default:
		return fail()
	}
	m, err := s.upstream.exchange(q, isTCP)
	if err != nil {
		return fail()
	}
	return m
}
