package traffic

import "fmt"

// A refusal is a response of this package.
type refusal struct {
	status int
	text   string // of the status
	why    string
}

var (
	statusBadRequest   = refusal{400, "Bad Request", "the request is malformed or ambiguous"}
	statusTimeout      = refusal{408, "Request Timeout", "the request's head took too long"}
	statusHeadTooLarge = refusal{431, "Request Header Fields Too Large", "the request's head is larger than 64 KiB"}
	statusBadGateway   = refusal{502, "Bad Gateway", "the backend gave no valid answer"}
	statusUnavailable  = refusal{503, "Service Unavailable", "there is no backend"}
)

// refuse answers the request and ends the connection. It always returns false,
// that is, the connection does not go on.
func (s *session) refuse(r refusal) bool {
	text := r.why + "\n"
	answer := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
		r.status, r.text, len(text))
	if s.req.method != headMethod {
		answer += text
	}
	if _, err := s.client.Write([]byte(answer)); err == nil {
		s.linger()
	}
	return false
}
