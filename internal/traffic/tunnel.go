package traffic

import (
	"io"
	"sync/atomic"
)

// serveTCP connects the client with a backend, whatever it says.
func (s *session) serveTCP() {
	u, err := s.b.acquire(need{client: s.client.TCPConn})
	if err != nil {
		return
	}
	s.out = reader{conn: u.conn}
	s.connect(u)
}

// connect tunnels to u and releases it.
func (s *session) connect(u *upstream) {
	if !s.tunnel(u) {
		s.b.blame(u)
	}
	s.b.release(u, false)
}

// opensTunnel reports whether the response ends HTTP on this connection.
func (s *session) opensTunnel() bool {
	return s.resp.status == 101 || s.req.method == connectMethod && s.resp.status/100 == 2
}

// enterTunnel passes the head of a response on after which the connection is the
// client's and the backend's own.
func (s *session) enterTunnel(u *upstream, p *pump) outcome {
	if p.wait() {
		if _, err := s.client.Write(s.out.bytes()[:s.resp.size]); err == nil {
			s.out.consume(s.resp.size)
			s.tunnel(u)
		}
	}
	s.b.release(u, false)
	return closing
}

// tunnel moves bytes both ways, beginning with those in buffers, until both
// sides are done. It reports false if the backend closed the connection without
// a word to a client that had said something.
func (s *session) tunnel(u *upstream) (answered bool) {
	s.client.readForever()
	asked, heard := int64(len(s.in.bytes())), int64(len(s.out.bytes()))
	if _, err := u.Write(s.in.bytes()); err != nil && heard == 0 {
		return false
	}
	if _, err := s.client.Write(s.out.bytes()); err != nil {
		return true
	}
	s.in.drop()
	s.out.drop()
	var left atomic.Bool // the client said all, and waits for no answer
	up := make(chan int64)
	s.b.wg.Go(func() {
		n := move(u.conn, s.client, &left)
		up <- n
	})
	heard += move(s.client, u.conn, nil)
	silent := heard == 0 && !left.Load()
	asked += <-up
	return !silent || asked == 0
}

// move moves what src says to dst, and passes its end on.
func move(dst, src *conn, ended *atomic.Bool) int64 {
	n, err := io.Copy(dst.TCPConn, src.TCPConn)
	if ended != nil {
		ended.Store(true)
	}
	switch {
	case err == nil:
		dst.CloseWrite()
	case src.broken() || ended == nil:
		src.Close()
		dst.Close()
	default:
		// The backend takes no more, but what it said before is still to come.
		src.CloseRead()
	}
	return n
}
