package sshd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Quality describes a link. The zero value is a good one.
type Quality struct {
	Latency   time.Duration // of each byte, each way
	Bandwidth int           // bytes a second, each way and connection; 0 is no limit

	// Stall is how long nothing passes after each random number of bytes, which
	// is StallAfter on average. A program that uses TCP sees a lost packet in
	// this way. Seed makes the random numbers repeatable.
	Stall      time.Duration
	StallAfter int
	Seed       uint64

	// A connection is reset after this number of bytes from the server or to
	// it, never if that is 0. Cuts is the number of connections, from the first
	// one, to which this applies; 0 is all.
	CutDown, CutUp int64
	Cuts           int
}

// ParseQuality parses latency=DURATION, bandwidth=BYTES, stall=DURATION,
// stall-after=BYTES, seed=N, cut-down=BYTES, cut-up=BYTES and cuts=N.
func ParseQuality(settings []string) (q Quality, err error) {
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		number, numberErr := strconv.ParseInt(value, 10, 64)
		switch key {
		case "latency":
			q.Latency, numberErr = time.ParseDuration(value)
		case "bandwidth":
			q.Bandwidth = int(number)
		case "stall":
			q.Stall, numberErr = time.ParseDuration(value)
		case "stall-after":
			q.StallAfter = int(number)
		case "seed":
			q.Seed = uint64(number)
		case "cut-down":
			q.CutDown = number
		case "cut-up":
			q.CutUp = number
		case "cuts":
			q.Cuts = int(number)
		default:
			numberErr = errors.New("no such setting")
		}
		if numberErr != nil {
			return q, fmt.Errorf("quality of a link: %q: %w", setting, numberErr)
		}
	}
	return q, nil
}

// A Link is another way to reach a server's sshd, with a quality: a proxy on
// the machine. It ends with the lab. Its methods may be called concurrently.
type Link struct {
	Addr string // of the proxy
	Port int

	to       string // address of sshd
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	quality Quality
	number  uint64 // of connections since the quality was set
	open    map[*tunnel]bool
	down    int64
	closed  bool
}

// Through makes WriteHome use a link to reach the server. A server has one
// link, and a second call changes its quality.
func (s *Server) Through(q Quality) *Link {
	s.lab.t.Helper()
	if s.link == nil {
		s.link = s.lab.proxy(net.JoinHostPort(s.Addr, strconv.Itoa(s.Port)))
	}
	s.link.set(q)
	return s.link
}

// proxy creates a link to an address.
func (l *Lab) proxy(to string) *Link {
	l.t.Helper()
	here := l.address(254).String()
	listener, err := net.Listen("tcp", net.JoinHostPort(here, "0"))
	if err != nil {
		l.t.Fatalf("sshd: link to %s: %v", to, err)
	}
	link := &Link{Addr: here, Port: listener.Addr().(*net.TCPAddr).Port, to: to, listener: listener, open: map[*tunnel]bool{}}
	link.all.Go(link.accept)
	l.t.Cleanup(link.close)
	return link
}

// Link returns the server's link, nil if it has none.
func (s *Server) Link() *Link { return s.link }

// set sets the quality of later connections.
func (l *Link) set(q Quality) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quality, l.number = q, 0
}

// Cut resets all open connections and returns their number.
func (l *Link) Cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.open)
	for t := range l.open {
		t.cut()
	}
	return n
}

// Down returns the number of bytes that have come from the server so far.
func (l *Link) Down() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

func (l *Link) close() {
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.Cut()
	l.all.Wait()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.all.Go(func() { l.serve(client.(*net.TCPConn)) })
	}
}

// serve proxies one connection.
func (l *Link) serve(client *net.TCPConn) {
	server, err := net.DialTimeout("tcp", l.to, 10*time.Second)
	if err != nil {
		reset(client)
		return
	}
	t := &tunnel{link: l, client: client, server: server.(*net.TCPConn), done: make(chan struct{})}
	q, number := l.enter(t)
	var both sync.WaitGroup
	both.Go(func() { t.carry(t.client, t.server, newLane(q, q.CutUp, 2*number), nil) })
	both.Go(func() { t.carry(t.server, t.client, newLane(q, q.CutDown, 2*number+1), &l.down) })
	both.Wait()
	l.mu.Lock()
	delete(l.open, t)
	l.mu.Unlock()
	t.client.Close()
	t.server.Close()
}

// enter adds a tunnel and returns its quality and number.
func (l *Link) enter(t *tunnel) (Quality, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[t] = true
	if l.closed {
		t.cut() // the link has ended meanwhile
	}
	l.number++
	q := l.quality
	if q.Cuts > 0 && l.number > uint64(q.Cuts) {
		q.CutDown, q.CutUp = 0, 0
	}
	return q, l.number
}

func (l *Link) count(counter *int64, n int) {
	if counter != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		*counter += int64(n)
	}
}
