package traffic

import (
	"bytes"
	"errors"
	"strconv"
)

// maxHead is the size limit of the head of a request or response.
const maxHead = 64 << 10

var (
	errMalformed = errors.New("malformed HTTP head")
	errTooLarge  = errors.New("HTTP head too large")
)

// A head holds the parts of a request's or response's head that determine the
// framing of its body.
type head struct {
	size    int   // in bytes, including the empty line
	minor   int   // of HTTP/1.minor
	length  int64 // Content-Length; -1 if there is none
	chunked bool

	closes    bool // Connection: close
	keepAlive bool // Connection: keep-alive
	upgrades  bool // Connection: upgrade
	more      bool // Connection has other tokens

	target  []byte // of a request; valid until the next read, as host is
	host    []byte // value of the Host field
	hosts   int    // number of Host fields
	hides   bool   // Connection names a field that Forwarded sets
	method  method // of a request
	expects bool   // of a request: Expect: 100-continue
	status  int    // of a response
}

// A method is the class of a request's method.
type method uint8

const (
	otherMethod method = iota
	getMethod          // GET, OPTIONS
	headMethod
	connectMethod
)

// persists reports whether the sender keeps the connection open (RFC 9112,
// section 9.3).
func (h *head) persists() bool {
	return !h.closes && (h.minor == 1 || h.keepAlive)
}

// bodiless reports whether a request has no body.
func (h *head) bodiless() bool { return !h.chunked && h.length <= 0 }

// repeatable reports whether a request may be sent again if it is unknown
// whether it was received (RFC 9110, section 9.2.2).
func (h *head) repeatable() bool {
	return h.bodiless() && (h.method == getMethod || h.method == headMethod)
}

// headEnd finds the end of a head in p. line is the offset of the first line
// that was not complete at the last call. It returns the size of the head or,
// if that is 0, the offset for the next call.
func headEnd(p []byte, line int) (size, next int, err error) {
	for {
		n := bytes.IndexByte(p[line:], '\n')
		switch {
		case n < 0:
			return 0, line, nil
		// A bare LF is refused, because only some parsers take it for the end
		// of a line (RFC 9112, section 2.2).
		case n == 0 || p[line+n-1] != '\r':
			return 0, line, errMalformed
		case n == 1:
			return line + 2, 0, nil
		}
		line += n + 1
	}
}

// parseRequest parses a head that headEnd delimited.
func parseRequest(p []byte) (head, error) {
	h := head{size: len(p), length: -1}
	line, rest := cutLine(p)
	name, line, _ := bytes.Cut(line, space)
	target, version, ok := bytes.Cut(line, space)
	if !ok || !isToken(name) || !isTarget(target) || !h.setVersion(version) {
		return h, errMalformed
	}
	h.target = target
	switch string(name) {
	case "GET", "OPTIONS":
		h.method = getMethod
	case "HEAD":
		h.method = headMethod
	case "CONNECT":
		h.method = connectMethod
	}
	// An HTTP/1.0 parser does not know chunks and would take them for the next
	// request. The content of CONNECT has no defined meaning (RFC 9110, section
	// 9.3.6).
	if !h.setFields(rest) || h.chunked && h.minor == 0 || h.method == connectMethod && !h.bodiless() {
		return h, errMalformed
	}
	// RFC 9112, section 3.2: two servers may take different ones of two hosts.
	if h.hosts > 1 || h.hosts == 0 && h.minor == 1 {
		return h, errMalformed
	}
	return h, nil
}

// parseResponse parses a head that headEnd delimited.
func parseResponse(p []byte) (head, error) {
	h := head{size: len(p), length: -1}
	line, rest := cutLine(p)
	version, line, _ := bytes.Cut(line, space)
	code, reason, _ := bytes.Cut(line, space)
	status, err := strconv.Atoi(string(code))
	if err != nil || len(code) != 3 || status < 100 || !isText(reason) || !h.setVersion(version) {
		return h, errMalformed
	}
	h.status = status
	if !h.setFields(rest) || h.chunked && h.minor == 0 {
		return h, errMalformed
	}
	return h, nil
}

var space = []byte(" ")

// cutLine cuts p after its first line. Every LF in p must be preceded by a CR.
func cutLine(p []byte) (line, rest []byte) {
	n := bytes.IndexByte(p, '\n')
	return p[:n-1], p[n+1:]
}

func (h *head) setVersion(v []byte) bool {
	h.minor = 1
	if string(v) == "HTTP/1.0" {
		h.minor = 0
		return true
	}
	return string(v) == "HTTP/1.1"
}

// setFields parses the lines after the first, up to the empty one. A message
// with both Content-Length and Transfer-Encoding is refused, because parsers
// disagree about it (RFC 9112, section 6.3).
func (h *head) setFields(p []byte) bool {
	for {
		line, rest := cutLine(p)
		if len(line) == 0 {
			return h.length < 0 || !h.chunked
		}
		// isToken refuses whitespace before the colon and folded lines, which
		// parsers treat differently (RFC 9112, sections 5.1 and 5.2).
		name, value, ok := bytes.Cut(line, colon)
		if !ok || !isToken(name) || !isText(value) || !h.setField(name, value) {
			return false
		}
		p = rest
	}
}

var colon = []byte(":")

// setField parses a field that determines framing. It returns false if the
// framing is in doubt.
func (h *head) setField(name, value []byte) bool {
	switch len(name) {
	case len("Host"):
		if foldsTo(name, "host") {
			h.hosts++
			h.host = trim(value)
			return isHost(h.host)
		}
	case len("Connection"):
		if foldsTo(name, "connection") {
			h.setConnection(value)
		}
	case len("Expect"):
		if foldsTo(name, "expect") {
			h.expects = foldsTo(trim(value), "100-continue")
		}
	case len("Content-Length"):
		if foldsTo(name, "content-length") {
			return h.setLength(trim(value))
		}
	case len("Transfer-Encoding"):
		if foldsTo(name, "transfer-encoding") {
			// With another coding, or a second field, parsers may disagree
			// about the end of the body.
			again := h.chunked
			h.chunked = foldsTo(trim(value), "chunked")
			return h.chunked && !again
		}
	}
	return true
}

// setLength parses a Content-Length. It must be unique and consist of digits.
func (h *head) setLength(v []byte) bool {
	// 18 digits always fit an int64.
	if h.length >= 0 || len(v) == 0 || len(v) > 18 {
		return false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + int64(c-'0')
	}
	h.length = n
	return true
}

func (h *head) setConnection(v []byte) {
	for len(v) > 0 {
		token, rest, _ := bytes.Cut(v, comma)
		token = trim(token)
		switch {
		case foldsTo(token, "close"):
			h.closes = true
		case foldsTo(token, "keep-alive"):
			h.keepAlive = true
		case foldsTo(token, "upgrade"):
			h.upgrades = true
		case len(token) > 0:
			h.more = true
			h.hides = h.hides || isForwarded(token)
		}
		v = rest
	}
}

var comma = []byte(",")

// trim removes optional whitespace (RFC 9110, section 5.6.3), and no other.
func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}

// foldsTo reports whether v equals lower without regard to case. Only ASCII is
// folded.
func foldsTo(v []byte, lower string) bool {
	if len(v) != len(lower) {
		return false
	}
	for i, c := range v {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// tokenChars are the characters of a token (RFC 9110, section 5.6.2).
var tokenChars = func() (is [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		is[c] = true
	}
	return is
}()

func isToken(v []byte) bool {
	for _, c := range v {
		if !tokenChars[c] {
			return false
		}
	}
	return len(v) > 0
}

// isText reports whether v has no byte that a parser may take for the end of a
// line.
func isText(v []byte) bool {
	return bytes.IndexByte(v, '\r') < 0 && bytes.IndexByte(v, 0) < 0
}

// hostChars are the characters of uri-host and port (RFC 3986, section 3.2.2).
var hostChars = func() (is [256]bool) {
	for _, c := range "-._~%!$&'()*+,;=:[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		is[c] = true
	}
	return is
}()

// isHost reports whether v may be the value of a Host field, which is empty if
// the target has no authority.
func isHost(v []byte) bool {
	for _, c := range v {
		if !hostChars[c] {
			return false
		}
	}
	return true
}

func isTarget(v []byte) bool {
	for _, c := range v {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(v) > 0
}
