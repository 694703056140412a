package traffic

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	smallBuffer = 4 << 10  // of a client between requests
	largeBuffer = 32 << 10 // of a response, and of a body under way

	emptyLine     = 2 // bytes
	maxEmptyLines = 16
)

var largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// A reader buffers bytes that are read from a connection, at most maxHead.
type reader struct {
	conn  *conn
	small []byte  // own buffer between requests; nil if not needed
	large *[]byte // from largeBuffers; nil if it has none
	buf   []byte  // small, large or, for a large head, another
	r, w  int     // the buffered bytes are buf[r:w]
	line  int     // offset for headEnd, from r

	idle  time.Duration // limit for the first byte of a head; none if 0
	whole time.Duration // limit for the rest of the head from then on
}

func (r *reader) bytes() []byte { return r.buf[r.r:r.w] }
func (r *reader) empty() bool   { return r.r == r.w }

func (r *reader) consume(n int) {
	if r.r += n; r.r == r.w {
		r.r, r.w = 0, 0
	}
}

// enlarge makes room for a body or a response.
func (r *reader) enlarge() {
	if r.large != nil || len(r.buf) >= largeBuffer {
		return
	}
	r.large = largeBuffers.Get().(*[]byte)
	r.move(*r.large)
}

// shrink returns the buffers of enlarge and of large heads once they are empty,
// so that idle clients cost little memory.
func (r *reader) shrink() {
	if len(r.buf) == len(r.small) || r.w-r.r > len(r.small) {
		return
	}
	r.move(r.small)
	if r.large != nil {
		largeBuffers.Put(r.large)
		r.large = nil
	}
}

// drop is shrink at the end of use. Buffered bytes are lost.
func (r *reader) drop() {
	if r.large != nil {
		largeBuffers.Put(r.large)
	}
	r.large, r.buf, r.r, r.w = nil, r.small, 0, 0
}

func (r *reader) move(to []byte) {
	n := copy(to, r.bytes())
	r.buf, r.r, r.w = to, 0, n
}

// fill reads once into the room that room made.
func (r *reader) fill() error {
	n, err := r.conn.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	return err
}

// room makes room behind the buffered bytes.
func (r *reader) room() error {
	switch {
	case r.w < len(r.buf):
	case r.r > 0:
		r.move(r.buf)
	case len(r.buf) >= maxHead:
		return errTooLarge
	default:
		r.move(make([]byte, min(2*len(r.buf), maxHead)))
	}
	return nil
}

// head reads until a head is buffered and returns its size. Before the first
// byte the error is io.EOF or that of the connection; after it the end is
// io.ErrUnexpectedEOF.
func (r *reader) head() (int, error) {
	begun, emptyLines := false, 0
	for {
		size, line, err := headEnd(r.bytes(), r.line)
		r.line = line
		// A client may send empty lines between requests (RFC 9112, section 2.2).
		// They are not passed on, and too many of them are no request.
		if size == emptyLine && r.idle > 0 && emptyLines < maxEmptyLines {
			emptyLines++
			r.consume(size)
			continue
		}
		if size > 0 || err != nil {
			r.line = 0
			return size, err
		}
		if err := r.room(); err != nil {
			return 0, err
		}
		switch {
		case r.idle == 0:
		case r.empty():
			r.conn.readWithin(r.idle)
		case !begun:
			begun = true
			r.conn.readWithin(r.whole)
		}
		if err := r.fill(); err != nil {
			r.line = 0
			if err == io.EOF && !r.empty() {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// isTimeout reports whether a read ended at its deadline.
func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}
