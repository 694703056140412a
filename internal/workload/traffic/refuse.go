package traffic

import (
	"fmt"
	"slices"
	"strconv"
)

// A refusal is a response of this package.
type refusal struct {
	status int
	text   string // of the status
	why    string
}

var (
	statusRedirect     = refusal{308, "Permanent Redirect", "this host is served with TLS"}
	statusBadRequest   = refusal{400, "Bad Request", "the request is malformed or ambiguous"}
	statusNotFound     = refusal{404, "Not Found", "nothing is served at this host and path"}
	statusTimeout      = refusal{408, "Request Timeout", "the request's head took too long"}
	statusHeadTooLarge = refusal{431, "Request Header Fields Too Large", "the request's head is larger than 64 KiB"}
	statusBadGateway   = refusal{502, "Bad Gateway", "the backend gave no valid answer"}
	statusUnavailable  = refusal{503, "Service Unavailable", "there is no backend"}
)

// refuse answers the request and ends the connection. It always returns false,
// that is, the connection does not go on.
func (s *session) refuse(r refusal) bool {
	if _, err := s.client.Write(s.text(r, []string{"Connection: close"})); err == nil {
		s.linger()
	}
	return false
}

// answerSelf is refuse for a request that is valid: its connection goes on if nothing of
// its body is still to come.
func (s *session) answerSelf(r refusal, fields []string) bool {
	if !s.whole || s.req.minor == 0 || !s.req.persists() || s.b.retired.Load() {
		fields = append(fields, "Connection: close")
	}
	if _, err := s.client.Write(s.text(r, fields)); err != nil {
		return false
	}
	if slices.Contains(fields, "Connection: close") {
		s.linger()
		return false
	}
	s.in.consume(s.ready)
	return true
}

// redirect sends the client to the same resource at another port, with TLS.
func (s *session) redirect(port int) bool {
	host := routedHost(s.req.host)
	if len(host) == 0 { // an HTTP/1.0 client did not name any
		return s.answerSelf(statusBadRequest, nil)
	}
	location := "Location: https://" + string(host)
	if port != 443 {
		location += ":" + strconv.Itoa(port)
	}
	return s.answerSelf(statusRedirect, []string{location + string(s.req.target)})
}

// text returns a response.
func (s *session) text(r refusal, fields []string) []byte {
	body := r.why + "\n"
	answer := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n", r.status, r.text, len(body))
	for _, f := range fields {
		answer += f + "\r\n"
	}
	answer += "\r\n"
	if s.req.method != headMethod {
		answer += body
	}
	return []byte(answer)
}
