package traffic

import (
	"bytes"
	"net"
)

// Forwarding is what a Balancer writes about the client into the fields
// X-Forwarded-For, X-Forwarded-Proto and Forwarded (RFC 7239) of a request.
type Forwarding uint8

const (
	ForwardNothing Forwarding = iota // requests pass byte for byte
	ForwardReplace                   // what the client itself sent in these fields is removed: it may be a lie
	ForwardAppend                    // the client is a trusted proxy, whose values stay, before the new ones
)

// maxForwarded is the limit in bytes for what is kept of a client's fields.
const maxForwarded = 4 << 10

// isForwarded reports whether name is that of a field that Forwarding sets.
func isForwarded(name []byte) bool {
	return foldsTo(name, "x-forwarded-for") || foldsTo(name, "x-forwarded-proto") || foldsTo(name, "forwarded")
}

// writeForwarded returns a copy of a request's head with the fields of f. Every LF
// in head must be preceded by a CR. Each field is one line, because some servers
// read only the first of several.
func writeForwarded(head []byte, f Forwarding, client net.IP, scheme string) []byte {
	var before, proto, elements []byte // of the client
	keep := func(list *[]byte, value []byte) {
		if f != ForwardAppend || len(*list)+len(value) > maxForwarded || len(value) == 0 {
			return
		}
		*list = append(append(*list, value...), ", "...)
	}
	edited := make([]byte, 0, len(head)+256)
	line, rest := cutLine(head)
	for first := true; len(line) > 0; first = false {
		name, value, _ := bytes.Cut(line, colon)
		switch {
		case first || !isForwarded(name):
			edited = append(append(edited, line...), "\r\n"...)
		case foldsTo(name, "x-forwarded-for"):
			keep(&before, trim(value))
		case foldsTo(name, "forwarded"):
			keep(&elements, trim(value))
		case len(proto) == 0 && f == ForwardAppend: // the first proxy knows what the client used
			proto = trim(value)
		}
		line, rest = cutLine(rest)
	}
	if len(proto) == 0 {
		proto = []byte(scheme)
	}
	node := client.String()
	if client.To4() == nil {
		node = `"[` + node + `]"` // RFC 7239, section 6
	}
	for _, part := range [][]byte{
		[]byte("X-Forwarded-For: "), before, []byte(client.String()),
		[]byte("\r\nX-Forwarded-Proto: "), proto,
		[]byte("\r\nForwarded: "), elements, []byte("for=" + node + ";proto=" + scheme + "\r\n\r\n"),
	} {
		edited = append(edited, part...)
	}
	return edited
}

// sendable returns the buffered part of the request as the backend gets it.
func (s *session) sendable() []byte {
	p := s.in.bytes()[:s.ready]
	if s.forwards == ForwardNothing {
		return p
	}
	client, scheme := s.client.RemoteAddr().(*net.TCPAddr).IP, "http"
	if s.client.tls != nil {
		scheme = "https"
	}
	return append(writeForwarded(p[:s.req.size], s.forwards, client, scheme), p[s.req.size:]...)
}
