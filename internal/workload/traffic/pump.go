package traffic

import (
	"errors"
	"sync/atomic"
)

// A pump moves the rest of a request's body while the response is awaited and
// passed on. A nil pump has nothing to move.
type pump struct {
	done  chan struct{}
	err   error                 // set before done is closed
	fault atomic.Pointer[error] // error of the client; set before the upstream is closed
}

// startPump starts a pump, which owns the session's in until it is done.
func (s *session) startPump(u *upstream) *pump {
	p := &pump{done: make(chan struct{})}
	s.b.wg.Go(func() {
		defer close(p.done)
		p.err = copyBody(u.conn, &s.in, &s.rest)
		if p.err != nil && !isWriteError(p.err) {
			p.fault.Store(&p.err)
			u.Close() // the backend cannot answer half a request
		}
	})
	return p
}

// clientFault returns the error of the client that ended the request.
func (p *pump) clientFault() error {
	if p == nil {
		return nil
	}
	if err := p.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// stop ends the pump wherever it is. Both connections are unusable afterwards.
func (p *pump) stop(s *session, u *upstream) {
	if p == nil {
		return
	}
	// The pump may be blocked in a read from the client or in a write to the
	// backend.
	s.client.interrupt()
	u.Close()
	<-p.done
}

// wait waits for the pump and returns whether it moved everything.
func (p *pump) wait() bool {
	if p == nil {
		return true
	}
	<-p.done
	return p.err == nil
}

// running reports whether there is something left to move.
func (p *pump) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return p.err != nil
	default:
		return true
	}
}

func isWriteError(err error) bool {
	var w writeError
	return errors.As(err, &w)
}
