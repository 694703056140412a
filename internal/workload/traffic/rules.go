package traffic

import (
	"bytes"
	"fmt"
	"strings"
)

// A Rule leads requests to the backends of a Listener of the same Pool. Of the rules
// whose host is a request's, those of the most specific host count: the name itself,
// then "*." and its domain, then any. Of these the longest path counts, an exact one
// before a prefix, and of two equal ones the first.
type Rule struct {
	Host  string `json:"host,omitempty"` // a name, or "*." and a domain for all names with one label more; empty for any
	Path  string `json:"path"`           // begins with a slash
	Exact bool   `json:"exact,omitempty"`

	To         string     `json:"to,omitempty"` // name of the Listener; if there is none the answer is 503
	Forwarding Forwarding `json:"forwarding,omitempty"`
	// Redirect is the port at which the host is served with TLS, to which the client
	// is sent; 0 if it is not.
	Redirect int `json:"redirect,omitempty"`
}

// A router finds the rule of a request.
type router struct {
	names   map[string]*paths
	domains map[string]*paths // of "*." names
	any     *paths
}

// paths are the rules of one host.
type paths struct {
	exact   map[string]*target
	prefix  map[string]*target // without a slash at the end
	longest int                // length of the longest prefix
}

// A target is where a rule leads.
type target struct {
	to       *Balancer // nil if there is no such Listener
	forwards Forwarding
	redirect int
}

// newRouter returns the router of rules, nil if there are none. named returns the
// Balancer of a Listener.
func newRouter(rules []Rule, named func(string) *Balancer) (*router, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	r := &router{names: map[string]*paths{}, domains: map[string]*paths{}}
	for _, rule := range rules {
		path, ok := routedPath([]byte(rule.Path))
		if !ok {
			return nil, fmt.Errorf("rule for %s%s: the path is ambiguous", rule.Host, rule.Path)
		}
		r.paths(strings.ToLower(rule.Host)).add(string(path), rule.Exact, &target{named(rule.To), rule.Forwarding, rule.Redirect})
	}
	return r, nil
}

// paths returns the rules of a host, which may be new.
func (r *router) paths(host string) *paths {
	if host == "" {
		if r.any == nil {
			r.any = newPaths()
		}
		return r.any
	}
	hosts := r.names
	if domain, wild := strings.CutPrefix(host, "*."); wild {
		hosts, host = r.domains, domain
	}
	if hosts[host] == nil {
		hosts[host] = newPaths()
	}
	return hosts[host]
}

func newPaths() *paths {
	return &paths{exact: map[string]*target{}, prefix: map[string]*target{}}
}

func (p *paths) add(path string, exact bool, t *target) {
	if exact {
		if p.exact[path] == nil {
			p.exact[path] = t
		}
		return
	}
	path = strings.TrimSuffix(path, "/")
	if p.prefix[path] == nil {
		p.prefix[path] = t
	}
	p.longest = max(p.longest, len(path))
}

// find returns the target of a request, or the answer to one that has none.
func (r *router) find(h *head) (*target, *refusal) {
	host, path := routedHost(h.host), []byte(nil)
	ok := h.method != connectMethod && host != nil
	if ok {
		path, ok = routedPath(h.target)
	}
	if !ok {
		return nil, &statusBadRequest
	}
	t := r.of(host).find(path)
	if t == nil {
		return nil, &statusNotFound
	}
	return t, nil
}

// of returns the rules of the most specific host that is that of a request.
func (r *router) of(host []byte) *paths {
	if p := r.names[string(host)]; p != nil {
		return p
	}
	if label, domain, ok := bytes.Cut(host, dot); ok && len(label) > 0 {
		if p := r.domains[string(domain)]; p != nil {
			return p
		}
	}
	return r.any
}

var dot = []byte(".")

func (p *paths) find(path []byte) *target {
	if p == nil {
		return nil
	}
	if t := p.exact[string(path)]; t != nil {
		return t
	}
	// Without the limit a path of many elements would cost the square of its length.
	if len(path) > p.longest && path[p.longest] != '/' {
		path = path[:bytes.LastIndexByte(path[:p.longest+1], '/')]
	} else {
		path = path[:min(len(path), p.longest)]
	}
	for {
		if t := p.prefix[string(path)]; t != nil {
			return t
		}
		end := bytes.LastIndexByte(path, '/')
		if end < 0 {
			return nil
		}
		path = path[:end]
	}
}

// routedHost returns the host of a Host field as rules have it: in lower case, without
// the port and without the dot of the root. It returns nil for a field that is no host
// and port.
func routedHost(field []byte) []byte {
	host, end := field, 0
	if len(host) > 0 && host[0] == '[' { // IPv6
		end = bytes.IndexByte(host, ']') + 1
	} else if end = bytes.IndexByte(host, ':'); end < 0 {
		end = len(host)
	}
	host, port := host[:end], host[end:]
	if len(port) > 0 && (port[0] != ':' || len(bytes.Trim(port[1:], "0123456789")) > 0) {
		return nil
	}
	host = bytes.TrimSuffix(host, dot)
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			return bytes.ToLower(host)
		}
	}
	if host == nil {
		return []byte{}
	}
	return host
}

// routedPath returns the path of a request's target as rules have it: decoded, without
// the parameters of its elements (";a=b"), and with one slash in place of several. So
// a path leads to the rule that it leads to after the decoding of any server. It returns
// false for a path that servers read in different ways: with elements "." or "..", with a
// slash, backslash or control character that is encoded, or with a backslash or "#"; and
// for a target that is no path.
func routedPath(target []byte) (path []byte, ok bool) {
	raw, _, _ := bytes.Cut(target, question)
	if len(raw) == 0 || raw[0] != '/' {
		return nil, false
	}
	if isPlainPath(raw) {
		return raw, true
	}
	if !isUnambiguous(raw) {
		return nil, false
	}
	path = make([]byte, 0, len(raw))
	var element []byte
	for element = range bytes.SplitSeq(raw[1:], slash) {
		element, _, _ = bytes.Cut(element, semicolon)
		if len(element) == 0 {
			continue
		}
		path = append(path, '/')
		begin := len(path)
		if path = appendDecoded(path, element); isDots(path[begin:]) {
			return nil, false
		}
	}
	if len(element) == 0 {
		path = append(path, '/')
	}
	return path, true
}

var (
	question  = []byte("?")
	slash     = []byte("/")
	semicolon = []byte(";")
)

// isPlainPath reports whether routedPath changes and refuses nothing.
func isPlainPath(raw []byte) bool {
	for i, c := range raw {
		switch c {
		case '%', ';', '\\', '#':
			return false
		case '/': // "//", "/." and "/.." are examined element by element
			if i+1 < len(raw) && (raw[i+1] == '/' || raw[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// isUnambiguous reports whether no byte of a path, encoded or not, may be taken for the
// end of an element or of the path.
func isUnambiguous(raw []byte) bool {
	for i, c := range raw {
		switch c {
		case '\\', '#':
			return false
		case '%':
			if d, ok := decoded(raw[i:]); !ok || d < ' ' || d == 0x7f || d == '/' || d == '\\' {
				return false
			}
		}
	}
	return true
}

// appendDecoded appends an element of a path without percent-encoding to p.
func appendDecoded(p, element []byte) []byte {
	for len(element) > 0 {
		c, size := element[0], 1
		if d, ok := decoded(element); ok {
			c, size = d, 3
		}
		p, element = append(p, c), element[size:]
	}
	return p
}

// decoded returns the byte that p begins with in percent-encoding.
func decoded(p []byte) (c byte, ok bool) {
	if len(p) < 3 || p[0] != '%' {
		return 0, false
	}
	high, low := unhex(p[1]), unhex(p[2])
	return high<<4 | low, high < 16 && low < 16
}

// unhex returns the value of a hexadecimal digit, more than 15 if c is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

func isDots(element []byte) bool { return string(element) == "." || string(element) == ".." }
