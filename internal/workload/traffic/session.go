package traffic

import (
	"io"
	"net"
	"time"
)

const (
	idleClient  = 2 * time.Minute  // between two requests
	headLimit   = 30 * time.Second // for the rest of a head after its first byte
	lingerLimit = time.Second      // for a client to stop sending
	lingerBytes = 1 << 20
)

// A session is one client's connection. One goroutine runs it, with a second
// one while data moves in both directions.
type session struct {
	b      *Balancer // that accepted the client
	to     *Balancer // whose backends get the current request: b, or as its rules say
	client *conn
	in     reader    // of the client
	out    reader    // of the upstream of the current request
	first  *upstream // opened by serveAuto before the client sent anything
	reading
	request
	response
}

// A request is the state of the current request.
type request struct {
	req   head
	rest  body // rest of the body
	ready int  // bytes of in to send at once: the head and the body so far
	whole bool // ready is the complete request

	crashed *backend // closed the connection without an answer to this request
}

// A response is the state of the response to the current request.
type response struct {
	resp      head
	answer    body // rest of the body
	have      int  // bytes of the body behind the head in out
	complete  bool // have is the complete body
	interim   bool // an interim response was passed on
	continued bool // a 100 asked the client for its body
}

func newSession(b *Balancer, c *net.TCPConn) *session {
	s := &session{b: b, to: b, client: newConn(c), reading: *b.reading.Load()}
	s.in = reader{conn: s.client, small: make([]byte, smallBuffer), idle: idleClient, whole: headLimit}
	s.in.buf = s.in.small
	return s
}

// linger closes the connection so that the client receives all written bytes.
// Closing it at once while the client still sends would reset it, and the
// client would lose bytes that it has not read yet (RFC 9112, section 9.6).
func (s *session) linger() {
	if s.client.CloseWrite() != nil {
		return
	}
	s.client.SetReadDeadline(time.Now().Add(lingerLimit))
	io.CopyN(io.Discard, s.client.TCPConn, lingerBytes)
}
