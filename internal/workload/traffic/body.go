package traffic

import (
	"io"
	"time"
)

const (
	spliceFrom = 256 << 10       // responses with at least this much left are moved by the kernel
	stallLimit = 2 * time.Minute // between two parts of a request's body
)

// framing determines the end of a body.
type framing uint8

const (
	sized framing = iota
	chunked
	untilClose
)

// A body is the part of a message after its head, while it passes.
type body struct {
	framing framing
	left    int64 // of a sized one
	chunks  chunks
}

// requestBody returns the body of a request (RFC 9112, section 6.3).
func requestBody(h *head) body {
	if h.chunked {
		return body{framing: chunked}
	}
	return body{left: max(h.length, 0)}
}

// responseBody returns the body of a response (RFC 9112, section 6.3).
func responseBody(request, response *head) body {
	switch {
	case request.method == headMethod, response.status == 204, response.status == 304:
		return body{}
	case response.chunked:
		return body{framing: chunked}
	case response.length >= 0:
		return body{left: response.length}
	}
	return body{framing: untilClose}
}

// take returns how many bytes of p belong to the body, and whether it ends
// there.
func (b *body) take(p []byte) (n int, done bool, err error) {
	switch b.framing {
	case chunked:
		return b.chunks.take(p)
	case untilClose:
		return len(p), false, nil
	}
	n = int(min(b.left, int64(len(p))))
	b.left -= int64(n)
	return n, b.left == 0, nil
}

// A writeError is an error of the side that is written to.
type writeError struct{ error }

// copyBody moves the rest of b, which is not empty, from src to dst. Its error
// is a writeError, errChunk, or an error of src: io.ErrUnexpectedEOF if the
// body is truncated.
func copyBody(dst *conn, src *reader, b *body) error {
	src.enlarge()
	for {
		if src.empty() {
			// A client's body (idle is set) is not spliced: each part of it must
			// arrive within stallLimit.
			if src.idle == 0 && (b.framing == untilClose || b.framing == sized && b.left >= spliceFrom) {
				return splice(dst, src.conn, b)
			}
			if err := src.moreBody(); err != nil {
				return err
			}
		}
		n, done, malformed := b.take(src.bytes())
		if _, err := dst.Write(src.bytes()[:n]); err != nil {
			return writeError{err}
		}
		src.consume(n)
		if done || malformed != nil {
			return malformed
		}
	}
}

// moreBody reads once within a body.
func (r *reader) moreBody() error {
	if r.idle > 0 {
		r.conn.readWithin(stallLimit)
	}
	err := r.fill()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// splice moves the rest of a body that has a length or ends with src. Without TLS the
// kernel does it (splice(2), used by io.Copy).
func splice(dst, src *conn, b *body) error {
	var err error
	if b.framing == untilClose {
		_, err = io.Copy(dst.sink(), src.TCPConn)
	} else {
		_, err = io.CopyN(dst.sink(), src.TCPConn, b.left)
	}
	switch {
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case err != nil && !src.broken():
		return writeError{err}
	}
	return err
}
