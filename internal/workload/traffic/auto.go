package traffic

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

const (
	sniffLimit = time.Second // for a line that may become a request line
	maxMethod  = 32          // longer first words are no HTTP method
	greeting   = 512         // what is read of a backend that speaks first, at first
)

// serveAuto finds out what the client speaks. In some protocols the client
// speaks first, in others the backend, so that both are listened to.
func (s *session) serveAuto() {
	if !s.client.quiet() && s.in.fill() == nil && sniff(s.in.bytes()) == isHTTP {
		s.serveHTTP()
		return
	}
	w := &watch{}
	done := make(chan struct{})
	s.b.wg.Go(func() {
		defer close(done)
		w.run(s)
	})
	speaksHTTP := s.listen()
	w.halt()
	<-done
	s.client.resume()
	if w.u != nil {
		w.u.resume()
	}
	switch u := w.u; {
	case w.greeted:
		s.connect(u)
	case speaksHTTP:
		s.first = u // nil if there is no backend, as exchange will find out
		s.serveHTTP()
	case u != nil:
		s.claimAndConnect(u)
	}
}

// claimAndConnect tunnels to u, or to another backend if that of u has just left
// the route.
func (s *session) claimAndConnect(u *upstream) {
	if !s.b.claim(u) {
		s.b.forgive(u)
		s.serveTCP()
		return
	}
	s.out = reader{conn: u.conn}
	s.connect(u)
}

// listen reads from the client until that is known to speak HTTP or not to, or
// until it is interrupted.
func (s *session) listen() (speaksHTTP bool) {
	timed := false
	for {
		if v := sniff(s.in.bytes()); v != unsure {
			return v == isHTTP
		}
		if err := s.in.room(); errors.Is(err, errTooLarge) {
			return true // which will be refused as such
		}
		if !s.in.empty() && !timed {
			timed = true
			s.client.readWithin(sniffLimit)
		}
		if s.in.fill() != nil {
			return false
		}
	}
}

// A watch holds a connection to a backend open for a client that said nothing
// yet, and listens to it.
type watch struct {
	mu     sync.Mutex
	halted bool
	u      *upstream // nil if there is none; read it after run

	greeted bool // the backend spoke; what it said is in the session's out
}

// run watches until the backend speaks or closes the connection, which it tells
// the session by an interrupt, or until halt. A backend that leaves the route
// makes place for another.
func (w *watch) run(s *session) {
	for {
		u, err := s.b.acquire(need{client: s.client.TCPConn, state: undecided})
		if err != nil {
			s.client.interrupt()
			return
		}
		w.publish(u)
		hello := make([]byte, greeting)
		n, err := u.Read(hello)
		switch {
		case n > 0 && s.b.claim(u):
			s.out = reader{conn: u.conn, buf: hello, w: n}
			w.greeted = true
			s.client.interrupt()
			return
		case s.b.left(u):
			w.publish(nil)
			s.b.forgive(u)
		case err != nil && isTimeout(err):
			return
		default: // closed: let the client see that, if it is still silent
			s.client.interrupt()
			return
		}
	}
}

// publish lets halt know the connection that is watched.
func (w *watch) publish(u *upstream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.u = u
	if w.halted && u != nil {
		u.interrupt()
	}
}

// halt has run return as soon as it has a connection, or knows there is none.
func (w *watch) halt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halted = true
	if w.u != nil {
		w.u.interrupt()
	}
}

// A verdict is what a client's first bytes say about its protocol.
type verdict uint8

const (
	unsure verdict = iota
	isHTTP
	isOther
)

// sniff judges a client's first bytes. The preface of HTTP/2 has the form of a
// request line, of another version.
func sniff(p []byte) verdict {
	line, _, ended := bytes.Cut(p, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	method, target, _ := bytes.Cut(line, space)
	for _, c := range target {
		if c < ' ' || c == 0x7f {
			return isOther
		}
	}
	switch at := len(line) - len(" HTTP/1.1"); {
	case len(method) > 0 && !isToken(method) || len(method) > maxMethod:
		return isOther
	case !ended:
		return unsure
	case at > len(method) && bytes.HasPrefix(line[at:], []byte(" HTTP/1.")):
		return isHTTP
	}
	return isOther
}
