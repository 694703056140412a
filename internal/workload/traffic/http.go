package traffic

import (
	"errors"
	"time"
)

// serveHTTP serves the requests of a client in their order.
func (s *session) serveHTTP() {
	for s.readRequest() && s.exchange() {
		s.in.shrink()
	}
	s.in.drop()
	if s.first != nil {
		s.b.forgive(s.first)
	}
}

// readRequest reads the next request's head, and frames what is there of its
// body. It reports false when the client is done or was refused.
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

// An outcome is what came of a request that was sent.
type outcome uint8

const (
	closing outcome = iota // the client's connection must end
	keeping                // the next request may come
	again                  // it is to be sent anew
)

// exchange has the request answered, and reports whether the client's connection
// goes on.
func (s *session) exchange() bool {
	kept := idleLimit
	if !s.req.repeatable() {
		kept = safelyFresh
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
		if o := s.roundTrip(u); o != again {
			return o == keeping
		}
		kept = 0
	}
}

// upstream is a connection for the request, which may have been idle for kept.
func (s *session) upstream(kept time.Duration) (*upstream, error) {
	if u := s.first; u != nil {
		s.first = nil
		if s.b.claim(u) && u.quiet() {
			u.reused = true // no younger than one that was used, for all we know
			return u, nil
		}
		s.b.forgive(u)
	}
	return s.b.acquire(need{client: s.client.TCPConn, kept: kept})
}

// roundTrip sends the request over u, which it releases, and passes the response
// on.
func (s *session) roundTrip(u *upstream) outcome {
	s.out = reader{conn: u.conn}
	s.out.enlarge()
	defer s.out.drop()
	p := s.send(u)
	if err := s.awaitResponse(); err != nil {
		return s.unanswered(u, p, err)
	}
	if s.whole { // else it is the pump's
		s.in.consume(s.ready)
	}
	if s.opensTunnel() {
		return s.enterTunnel(u, p)
	}
	keep, err := s.deliver(p)
	return s.conclude(u, p, keep, err)
}

// send sends what is there of the request, and starts a pump for what is not.
// A failed write shows as soon as the answer is read, and a backend that takes
// no more may have said why.
func (s *session) send(u *upstream) *pump {
	u.Write(s.in.bytes()[:s.ready])
	if s.whole {
		return nil
	}
	s.in.consume(s.ready)
	return s.startPump(u)
}

// awaitResponse reads up to the final response's head, and passes interim ones
// on.
func (s *session) awaitResponse() error {
	for {
		size, err := s.out.head()
		if err != nil {
			return err
		}
		if s.resp, err = parseResponse(s.out.bytes()[:size]); err != nil {
			return err
		}
		if s.resp.status == 101 && !s.req.upgrades {
			return errMalformed
		}
		if s.resp.status >= 200 || s.resp.status == 101 {
			break
		}
		s.heard = true
		s.continued = s.continued || s.resp.status == 100
		if s.req.minor == 1 { // HTTP/1.0 knows none
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

// unanswered deals with a request to which there was no valid response.
func (s *session) unanswered(u *upstream, p *pump, err error) outcome {
	fault := p.clientFault()
	unheard := !s.heard && s.out.empty()
	p.stop(s, u)
	switch {
	case errors.Is(fault, errChunk):
		s.b.release(u, false)
		s.refuse(statusBadRequest)
		return closing
	case fault != nil, isWriteError(err):
		s.b.release(u, false)
		return closing
	case unheard && u.reused && s.req.repeatable():
		s.b.forgive(u)
		return again
	}
	s.b.blame(u)
	s.b.release(u, false)
	s.refuse(statusBadGateway)
	return closing
}
