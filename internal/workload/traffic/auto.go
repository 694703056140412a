package traffic

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

const (
	sniffLimit = time.Second // to complete a line that may be a request line
	maxMethod  = 32          // longest HTTP method that is recognized
	greeting   = 512         // size of the first read from a backend that speaks first
)

// serveAuto detects the client's protocol. In some protocols the client speaks
// first and in others the server, so it listens to both: a backend is connected
// before the client has sent anything.
func (s *session) serveAuto() {
	// A client that has already sent a request line needs no backend and no
	// second goroutine for the detection.
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
		s.first = u // nil without a backend; exchange then answers 503
		s.serveHTTP()
	case u != nil:
		s.claimAndConnect(u)
	}
}

// claimAndConnect tunnels to u, or to another backend if that of u has just
// left the route.
func (s *session) claimAndConnect(u *upstream) {
	if !s.to.claim(u) {
		s.to.cancelRequest(u)
		s.serveTCP()
		return
	}
	s.out = reader{conn: u.conn}
	s.connect(u)
}

// listen reads from the client until its protocol is known or it is
// interrupted.
func (s *session) listen() (speaksHTTP bool) {
	timed := false
	for {
		if v := sniff(s.in.bytes()); v != unsure {
			return v == isHTTP
		}
		if err := s.in.room(); errors.Is(err, errTooLarge) {
			return true // so that it is refused with a status
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

// A watch holds a connection to a backend open for a client that has sent
// nothing yet, and reads from the backend.
type watch struct {
	mu     sync.Mutex
	halted bool
	u      *upstream // nil without a backend; valid after run

	greeted bool // the backend spoke first; its bytes are in the session's out
}

// run reads until the backend speaks or closes the connection, and then
// interrupts the session, or until halt. If the backend leaves the route it
// connects to another.
func (w *watch) run(s *session) {
	for {
		u, err := s.to.acquire(demand{client: s.client.TCPConn, state: undecided})
		if err != nil {
			s.client.interrupt()
			return
		}
		w.publish(u)
		hello := make([]byte, greeting)
		n, err := u.Read(hello)
		switch {
		case n > 0 && s.to.claim(u):
			s.out = reader{conn: u.conn, buf: hello, w: n}
			w.greeted = true
			s.client.interrupt()
			return
		case s.to.left(u):
			// leave closed this connection, which carried nothing. A connection
			// to another backend replaces it.
			w.publish(nil)
			s.to.cancelRequest(u)
		case err != nil && isTimeout(err):
			return
		default: // closed: the client, if it is still silent, must see that
			s.client.interrupt()
			return
		}
	}
}

// publish stores the connection for halt.
func (w *watch) publish(u *upstream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.u = u
	if w.halted && u != nil {
		u.interrupt()
	}
}

// halt makes run return as soon as it has a connection or knows that there is
// none.
func (w *watch) halt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halted = true
	if w.u != nil {
		w.u.interrupt()
	}
}

// A verdict is the protocol of a client's first bytes.
type verdict uint8

const (
	unsure verdict = iota
	isHTTP
	isOther
)

// sniff detects the protocol of a client's first bytes. The preface of HTTP/2
// looks like a request line of another version.
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
