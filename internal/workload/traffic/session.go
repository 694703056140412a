package traffic

import (
	"io"
	"net"
	"time"
)

const (
	idleClient  = 2 * time.Minute  // between two requests
	headLimit   = 30 * time.Second // for the rest of a head after its first byte
	lingerLimit = time.Second      // for a client to stop sending what is not wanted
	lingerBytes = 1 << 20
)

// A session is one client's connection. One goroutine runs it, with a second one
// while both directions have something to move.
type session struct {
	b      *Balancer
	client *conn
	in     reader    // of the client
	out    reader    // of the upstream of the present request
	first  *upstream // opened before the client said anything; see serveAuto
	request
	response
}

// A request is what a session knows of the present one.
type request struct {
	req   head
	rest  body // what of it is still to be sent
	ready int  // bytes of in that are sent at once: the head, and what is there of the body
	whole bool // they are all of the request
}

// A response is what a session knows of that to the present request.
type response struct {
	resp      head
	answer    body // what of it is still to be passed on
	have      int  // bytes of its body behind the head in out
	complete  bool // they are all of the body
	heard     bool // an interim response was passed on
	continued bool // and it told the client to send its body
}

func newSession(b *Balancer, c *net.TCPConn) *session {
	s := &session{b: b, client: newConn(c)}
	s.in = reader{conn: s.client, small: make([]byte, smallBuffer), idle: idleClient, whole: headLimit}
	s.in.buf = s.in.small
	return s
}

// linger ends the connection so that the client gets what was written. Closing
// it while the client still sends would reset it, and what the client has not
// yet read would be lost.
func (s *session) linger() {
	if s.client.CloseWrite() != nil {
		return
	}
	s.client.SetReadDeadline(time.Now().Add(lingerLimit))
	io.CopyN(io.Discard, s.client.TCPConn, lingerBytes)
}
