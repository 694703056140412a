package traffic

// An edit is what happens to the Connection header of a response.
type edit uint8

const (
	asIs     edit = iota
	sayClose      // the client's connection ends, which the backend did not say
	sayKeep       // it goes on, and the backend said it would not
)

// deliver passes the response on. It reports whether the client was told that
// its connection goes on.
func (s *session) deliver(p *pump) (keep bool, err error) {
	keep, e := s.connection(p)
	size := s.resp.size
	data := s.out.bytes()[:size+s.have]
	if e != asIs {
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

// connection decides whether the client's connection goes on after the response,
// and what must be edited for the client to know.
func (s *session) connection(p *pump) (keep bool, e edit) {
	keep = s.req.persists() && s.answer.framing != untilClose && s.bodyEnds(p)
	told := s.resp.keepAlive && !s.resp.closes
	if s.req.minor == 1 {
		told = s.resp.persists()
	}
	switch {
	case keep == told:
		return keep, asIs
	case told:
		return false, sayClose
	case s.req.minor == 1 && s.resp.minor == 1 && !s.resp.upgrades && !s.resp.more:
		return true, sayKeep
	}
	return false, asIs
}

// bodyEnds reports whether what is still to come of the request's body will be
// read, and will come: a backend that closes the connection reads no more, and a
// client that waits for a 100 and gets another answer may or may not send it.
func (s *session) bodyEnds(p *pump) bool {
	return !p.running() || s.resp.persists() && (!s.req.expects || s.continued)
}

// conclude ends a request whose response was passed on, or broke off with err.
func (s *session) conclude(u *upstream, p *pump, keep bool, err error) outcome {
	if s.resp.status >= 500 || err != nil && !isWriteError(err) {
		s.b.blame(u)
	}
	if err != nil {
		p.stop(s, u)
		s.b.release(u, false)
		s.client.SetLinger(0) // a reset cannot be taken for the end of the body
		return closing
	}
	open := s.resp.persists() && s.answer.framing != untilClose && s.bodyEnds(p)
	if open { // then the backend reads on, too
		open = p.wait()
	} else {
		p.stop(s, u)
	}
	sent := p.wait()
	s.b.release(u, open && s.req.persists() && s.out.empty())
	if keep && sent {
		return keeping
	}
	if !sent || !s.in.empty() {
		s.linger()
	}
	return closing
}

// editConnection copies a head with another Connection header.
func editConnection(p []byte, e edit) []byte {
	edited := make([]byte, 0, len(p)+32)
	line, rest := cutLine(p)
	for first := true; len(line) > 0; first = false {
		if first || !isConnection(line) {
			edited = append(append(edited, line...), "\r\n"...)
		}
		line, rest = cutLine(rest)
	}
	if e == sayClose {
		edited = append(edited, "Connection: close\r\n"...)
	}
	return append(edited, "\r\n"...)
}

func isConnection(line []byte) bool {
	const name = "connection"
	return len(line) > len(name) && line[len(name)] == ':' && foldsTo(line[:len(name)], name)
}
