package traffic

import (
	"errors"
	"time"
)

// serveHTTP serves the requests of a client one after the other.
func (s *session) serveHTTP() {
	for s.readRequest() && s.respond() {
		s.in.shrink()
	}
	s.in.drop()
	// The client ended before its first request, so the connection that was
	// opened for it is unused.
	if s.first != nil {
		s.to.cancelRequest(s.first)
	}
}

// readRequest reads the head of the next request and frames the part of its
// body that has arrived. It returns false if the client has ended or was
// refused.
func (s *session) readRequest() bool {
	s.request, s.response = request{}, response{}
	size, err := s.in.head()
	if err == nil {
		s.req, err = parseRequest(s.in.bytes()[:size])
	}
	switch {
	case err == nil:
	case errors.Is(err, errMalformed):
		return s.refuse(statusBadRequest)
	case errors.Is(err, errTooLarge):
		return s.refuse(statusHeadTooLarge)
	// A client that sent nothing only ends its idle connection. One that began
	// a request gets a response.
	case isTimeout(err) && !s.in.empty():
		return s.refuse(statusTimeout)
	default:
		return false
	}
	s.rest = requestBody(&s.req)
	n, whole, err := s.rest.take(s.in.bytes()[size:])
	if err != nil {
		return s.refuse(statusBadRequest)
	}
	s.ready, s.whole = size+n, whole
	return true
}

// respond answers the request: with that of a backend, which the rules choose if there
// are any. It returns whether the client's connection goes on.
func (s *session) respond() bool {
	s.to = s.b
	if rules := s.b.rules.Load(); rules != nil {
		rule, refused := rules.find(&s.req)
		switch {
		case refused != nil:
			return s.answerSelf(*refused, nil)
		case rule.redirect != 0:
			return s.redirect(rule.redirect)
		case rule.to == nil:
			return s.answerSelf(statusUnavailable, nil)
		}
		s.to, s.forwards = rule.to, rule.forwards
	}
	// A backend that is a proxy would remove these fields, as the client asks.
	if s.req.hides && s.forwards != ForwardNothing {
		return s.refuse(statusBadRequest)
	}
	return s.exchange()
}

// An outcome is the result of a request that was sent.
type outcome uint8

const (
	closing   outcome = iota // the client's connection must be closed
	keeping                  // the next request may follow
	again                    // the request must be sent again
	elsewhere                // the request must be sent to another backend
)

// exchange sends the request and passes the response on. It returns whether the
// client's connection goes on.
func (s *session) exchange() bool {
	// A backend may close an idle connection just when the request is sent. A
	// request that may be sent again survives that; any other gets a connection
	// that is fresh enough.
	kept := idleLimit
	if !s.req.repeatable() {
		kept = freshLimit
	}
	for {
		u, err := s.upstream(kept)
		switch err {
		case nil:
		case errUnreachable:
			return s.refuse(statusBadGateway)
		default:
			return s.refuse(statusUnavailable)
		}
		switch o := s.roundTrip(u); o {
		case again, elsewhere:
			// A new connection cannot have been closed for being idle.
			kept = 0
		default:
			return o == keeping
		}
	}
}

// upstream returns a connection for the request, which may have been idle for
// kept.
func (s *session) upstream(kept time.Duration) (*upstream, error) {
	if u := s.first; u != nil {
		s.first = nil
		if s.to.claim(u) && u.quiet() {
			u.reused = true // it may have been idle for long, like one that was used
			return u, nil
		}
		s.to.cancelRequest(u)
	}
	return s.to.acquire(demand{client: s.client.TCPConn, idleTime: kept, avoid: s.crashed})
}

// roundTrip sends the request over u, which it releases, and passes the
// response on.
func (s *session) roundTrip(u *upstream) outcome {
	s.out = reader{conn: u.conn}
	s.out.enlarge()
	defer s.out.drop()
	p := s.send(u)
	if err := s.awaitResponse(); err != nil {
		return s.handleNoResponse(u, p, err)
	}
	if s.whole { // otherwise the pump consumes it
		s.in.consume(s.ready)
	}
	if s.opensTunnel() {
		return s.enterTunnel(u, p)
	}
	keep, err := s.writeResponse(p)
	return s.finish(u, p, keep, err)
}

// send sends the buffered part of the request and starts a pump for the rest.
// It ignores a failed write, which reading the response reports: a backend that reads
// no more may have sent a response before.
func (s *session) send(u *upstream) *pump {
	u.Write(s.sendable())
	if s.whole {
		return nil
	}
	s.in.consume(s.ready)
	return s.startPump(u)
}

// awaitResponse reads up to the head of the final response and passes interim
// responses on.
func (s *session) awaitResponse() error {
	for {
		size, err := s.out.head()
		if err != nil {
			return err
		}
		if s.resp, err = parseResponse(s.out.bytes()[:size]); err != nil {
			return err
		}
		// A client that requested no upgrade would parse the bytes of the
		// tunnel as responses.
		if s.resp.status == 101 && !s.req.upgrades {
			return errMalformed
		}
		if s.resp.status >= 200 || s.resp.status == 101 {
			break
		}
		s.interim = true
		s.continued = s.continued || s.resp.status == 100
		if s.req.minor == 1 { // HTTP/1.0 has no interim responses
			if _, err := s.client.Write(s.out.bytes()[:size]); err != nil {
				return writeError{err}
			}
		}
		s.out.consume(size)
	}
	if s.opensTunnel() {
		return nil
	}
	var err error
	s.answer = responseBody(&s.req, &s.resp)
	s.have, s.complete, err = s.answer.take(s.out.bytes()[s.resp.size:])
	return err
}

// handleNoResponse handles a request without a valid response.
func (s *session) handleNoResponse(u *upstream, p *pump, err error) outcome {
	// This must precede stop, which interrupts the client's connection: the
	// pump would report that as the client's error.
	fault := p.clientFault()
	unheard := !s.interim && s.out.empty()
	p.stop(s, u)
	switch {
	case errors.Is(fault, errChunk):
		s.to.release(u, false)
		s.refuse(statusBadRequest)
		return closing
	case fault != nil, isWriteError(err):
		s.to.release(u, false)
		return closing
	// The backend may have closed the idle connection before it received the
	// request, which is not an error.
	case unheard && u.reused && s.req.repeatable():
		s.to.cancelRequest(u)
		return again
	}
	s.to.countError(u)
	s.to.release(u, false)
	// The backend crashed. Only one other gets the request: it may be the reason,
	// and would end one backend after the other.
	if unheard && s.req.repeatable() && s.crashed == nil {
		s.crashed = u.backend
		return elsewhere
	}
	s.refuse(statusBadGateway)
	return closing
}
