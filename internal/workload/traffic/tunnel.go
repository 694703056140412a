package traffic

import (
	"io"
	"sync/atomic"
)

// serveTCP connects the client with a backend without parsing anything.
func (s *session) serveTCP() {
	u, err := s.to.acquire(demand{client: s.client.TCPConn})
	if err != nil {
		return
	}
	s.out = reader{conn: u.conn}
	s.connect(u)
}

// connect tunnels to u and releases it.
func (s *session) connect(u *upstream) {
	if !s.tunnel(u) {
		s.to.countError(u)
	}
	s.to.release(u, false)
}

// opensTunnel reports whether the response ends HTTP on this connection.
func (s *session) opensTunnel() bool {
	return s.resp.status == 101 || s.req.method == connectMethod && s.resp.status/100 == 2
}

// enterTunnel passes the head of a response on and then tunnels (RFC 9110,
// sections 7.8 and 9.3.6).
func (s *session) enterTunnel(u *upstream, p *pump) outcome {
	if p.wait() {
		if _, err := s.client.Write(s.out.bytes()[:s.resp.size]); err == nil {
			s.out.consume(s.resp.size)
			s.tunnel(u)
		}
	}
	s.to.release(u, false)
	return closing
}

// tunnel moves bytes in both directions, beginning with the buffered ones,
// until both sides are done. It returns false if the backend closed the
// connection without a response to a client that had sent something.
func (s *session) tunnel(u *upstream) (answered bool) {
	s.client.readForever()
	asked, heard := int64(len(s.in.bytes())), int64(len(s.out.bytes()))
	if asked > 0 {
		u.Write(s.in.bytes()) // the next read reports a failure, after what the backend sent before
	}
	if heard > 0 {
		s.client.Write(s.out.bytes())
	}
	s.in.drop()
	s.out.drop()
	var left atomic.Bool // the client is done and may not wait for a response
	up := make(chan int64)
	s.b.wg.Go(func() {
		n, err := io.Copy(u.TCPConn, s.client.source())
		left.Store(true)
		passEnd(u.conn, s.client, err, s.client.broken())
		up <- n
	})
	n, err := io.Copy(s.client.sink(), u.TCPConn)
	silent := heard+n == 0 && !left.Load()
	passEnd(s.client, u.conn, err, true)
	s.to.passedAll(u)
	asked += <-up
	return !silent || asked == 0
}

// passEnd passes the end of src on to dst. A fatal error closes both. If a
// backend only stopped reading, the bytes that it sent before must still reach
// the client.
func passEnd(dst, src *conn, err error, fatal bool) {
	switch {
	case err == nil:
		dst.CloseWrite()
	case fatal:
		src.Close()
		dst.Close()
	default:
		src.CloseRead()
	}
}
