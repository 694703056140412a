package traffic

// An edit is a change to the Connection header of a response.
type edit uint8

const (
	unchanged   edit = iota
	addClose         // the client's connection ends, but the backend did not send close
	removeClose      // the client's connection goes on, but the backend sent close
)

// writeResponse passes the response to the client. It returns whether the
// response keeps the client's connection open.
func (s *session) writeResponse(p *pump) (keep bool, err error) {
	keep, e := s.connection(p)
	size := s.resp.size
	data := s.out.bytes()[:size+s.have]
	if e != unchanged {
		data = append(editConnection(data[:size], e), data[size:]...)
	}
	if _, err := s.client.Write(data); err != nil {
		return false, writeError{err}
	}
	s.out.consume(size + s.have)
	if s.complete {
		return keep, nil
	}
	return keep, copyBody(s.client, &s.out, &s.answer)
}

// connection decides whether the client's connection stays open after the
// response, and how the Connection header must be edited to match.
func (s *session) connection(p *pump) (keep bool, e edit) {
	keep = s.req.persists() && s.answer.framing != untilClose && s.bodyEnds(p) && !s.b.retired.Load()
	// An HTTP/1.0 client keeps its connection only if the response has
	// keep-alive (RFC 9112, section 9.3).
	told := s.resp.keepAlive && !s.resp.closes
	if s.req.minor == 1 {
		told = s.resp.persists()
	}
	switch {
	case keep == told:
		return keep, unchanged
	case told:
		return false, addClose
	// Without the header only HTTP/1.1 keeps the connection, and other options
	// in the header must not be lost.
	case s.req.minor == 1 && s.resp.minor == 1 && !s.resp.upgrades && !s.resp.more:
		return true, removeClose
	}
	return false, unchanged
}

// bodyEnds reports whether the rest of the request's body will arrive and be
// read. A backend that closes the connection reads no more, and a client that
// waits for a 100 and gets another response may or may not send its body (RFC
// 9110, section 10.1.1).
func (s *session) bodyEnds(p *pump) bool {
	return !p.running() || s.resp.persists() && (!s.req.expects || s.continued)
}

// finish ends a request whose response was passed on, or failed with err.
func (s *session) finish(u *upstream, p *pump, keep bool, err error) outcome {
	if s.resp.status >= 500 || err != nil && !isWriteError(err) {
		s.to.countError(u)
	}
	if err != nil {
		p.stop(s, u)
		s.to.release(u, false)
		s.client.abort() // so that the client cannot take the end for that of the body
		return closing
	}
	open := s.resp.persists() && s.answer.framing != untilClose && s.bodyEnds(p)
	if open { // the backend continues to read, too
		open = p.wait()
	} else {
		p.stop(s, u)
	}
	sent := p.wait()
	// The backend closes the connection after a request with close. Bytes
	// behind the response would be taken for the next response.
	s.to.release(u, open && s.req.persists() && s.out.empty())
	if keep && sent {
		return keeping
	}
	if !sent || !s.in.empty() {
		s.linger()
	}
	return closing
}

// editConnection returns a copy of a head with another Connection header.
func editConnection(p []byte, e edit) []byte {
	edited := make([]byte, 0, len(p)+32)
	line, rest := cutLine(p)
	for first := true; len(line) > 0; first = false {
		if first || !isConnection(line) {
			edited = append(append(edited, line...), "\r\n"...)
		}
		line, rest = cutLine(rest)
	}
	if e == addClose {
		edited = append(edited, "Connection: close\r\n"...)
	}
	return append(edited, "\r\n"...)
}

func isConnection(line []byte) bool {
	const name = "connection"
	return len(line) > len(name) && line[len(name)] == ':' && foldsTo(line[:len(name)], name)
}
