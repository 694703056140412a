package traffic

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzRequest compares the framing of accepted requests with net/http: the size
// of the head, the size of the body, and whether the connection stays open.
func FuzzRequest(f *testing.F) {
	for _, p := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: 1\r\n\r\nGET",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		size, _, err := headEnd(p, 0)
		if err != nil || size == 0 {
			return
		}
		h, err := parseRequest(p[:size])
		if err != nil {
			return
		}
		b := requestBody(&h)
		n, done, err := b.take(p[size:])
		if err != nil || !done {
			return
		}
		rest := bytes.NewReader(p)
		r := bufio.NewReader(rest)
		want, err := http.ReadRequest(r)
		if err != nil {
			return // stricter elsewhere, such as in URLs
		}
		if _, err := io.Copy(io.Discard, want.Body); err != nil {
			return // stricter, such as in trailers
		}
		if left := r.Buffered() + rest.Len(); left != len(p)-size-n {
			t.Errorf("%d bytes left, net/http leaves %d of %q", len(p)-size-n, left, p)
		}
		if h.chunked != slices.Equal(want.TransferEncoding, []string{"chunked"}) {
			t.Errorf("chunked: %v, net/http: %v", h.chunked, want.TransferEncoding)
		}
		if h.persists() == want.Close {
			t.Errorf("persists: %v, net/http closes: %v", h.persists(), want.Close)
		}
		edited := writeForwarded(p[:size], ForwardReplace, net.IPv6loopback, "http")
		again, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(edited)))
		if err != nil {
			t.Fatalf("edited to %q: %v", edited, err)
		}
		if got := again.Header["Forwarded"]; !slices.Equal(got, []string{`for="[::1]";proto=http`}) {
			t.Errorf("forwarded %q in %q", got, edited)
		}
	})
}

// FuzzRules compares the rule that is found for a request with the one that a naive
// implementation finds, which knows net/url and the order of the rules, and examines
// all of them. Each line of text is a rule: its host, its path, and "=" if it is exact.
func FuzzRules(f *testing.F) {
	const text = "x.y / \nx.y /a \nx.y /a =\nx.y /a/b/ \nx.y /a/b/ =\n*.y /a \n /%61/c \n*. /"
	for _, target := range []string{"/", "/a", "/a/", "//a//b;x", "/%61/b/", "/a/../b", "/a%2fb", "/a/b/c?d#e", "/a#", "/abc", "*", "/%2e./", "/..;/a"} {
		f.Add(text, "X.Y:80", target)
		f.Add(text, "z.y.", target)
		f.Add(text, "", target)
	}
	f.Fuzz(func(t *testing.T, text, host, target string) {
		if !isHost([]byte(host)) || !isTarget([]byte(target)) {
			return
		}
		var rules []Rule
		for line := range strings.Lines(text) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
			if len(fields) < 2 || len(rules) == 20 {
				continue
			}
			r := Rule{Host: fields[0], Path: fields[1], Exact: len(fields) > 2 && fields[2] == "=", Redirect: len(rules) + 1}
			if _, ok := naivePath(r.Path); ok && !strings.Contains(r.Path, "?") {
				rules = append(rules, r)
			}
		}
		router, err := newRouter(rules, func(string) *Balancer { return nil })
		if err != nil || router == nil {
			if len(rules) > 0 {
				t.Errorf("%v: %v", rules, err)
			}
			return
		}
		got, found := 0, ""
		switch rule, refused := router.find(&head{host: []byte(host), target: []byte(target)}); {
		case refused != nil:
			found = refused.text
		default:
			got = rule.redirect
		}
		wanted, want := naiveRule(rules, host, target)
		if got != wanted || found != want {
			t.Errorf("%q%q in %+v: got %d %s, want %d %s", host, target, rules, got, found, wanted, want)
		}
	})
}

// naiveRule returns the Redirect of the rule of a request, or why there is none.
func naiveRule(rules []Rule, host, target string) (redirect int, refused string) {
	path, ok := naivePath(target)
	host, valid := naiveHost(host)
	if !ok || !valid {
		return 0, statusBadRequest.text
	}
	best, bestRank := 0, -1
	hosts := func(r Rule) int { // how specific the host is, 0 if it is another
		label, domain, wild := strings.Cut(host, ".")
		switch h := strings.ToLower(r.Host); {
		case h == "":
			return 1
		case wild && label != "" && h == "*."+domain:
			return 2
		case h == host && !strings.HasPrefix(h, "*."):
			return 3
		}
		return 0
	}
	specific := 0
	for _, r := range rules {
		specific = max(specific, hosts(r))
	}
	for _, r := range rules {
		if specific == 0 || hosts(r) != specific {
			continue
		}
		rule, _ := naivePath(r.Path)
		rank := -1
		if r.Exact && rule == path {
			rank = 1 << 20
		}
		if rule = strings.TrimSuffix(rule, "/"); !r.Exact && strings.HasPrefix(path+"/", rule+"/") {
			rank = len(rule)
		}
		if rank > bestRank {
			best, bestRank = r.Redirect, rank
		}
	}
	if bestRank < 0 {
		return 0, statusNotFound.text
	}
	return best, ""
}

var hostAndPort = regexp.MustCompile(`^(\[[^]]*\]|[^:\[][^:]*|)(:[0-9]*)?$`)

func naiveHost(field string) (string, bool) {
	parts := hostAndPort.FindStringSubmatch(strings.ToLower(field))
	if parts == nil {
		return "", false
	}
	return strings.TrimSuffix(parts[1], "."), true
}

func naivePath(target string) (string, bool) {
	raw, _, _ := strings.Cut(target, "?")
	if !strings.HasPrefix(raw, "/") || strings.ContainsAny(raw, "\\#") {
		return "", false
	}
	var elements []string
	all := strings.Split(raw, "/")
	for i, e := range all {
		whole, err := url.PathUnescape(e)
		if err != nil || strings.ContainsAny(whole, "/\\\x7f") || strings.ContainsFunc(whole, func(c rune) bool { return c < ' ' }) {
			return "", false
		}
		e, _, _ = strings.Cut(e, ";")
		plain, _ := url.PathUnescape(e)
		if plain == "." || plain == ".." {
			return "", false
		}
		if plain != "" || i == len(all)-1 {
			elements = append(elements, plain)
		}
	}
	return "/" + strings.Join(elements, "/"), true
}

// FuzzResponse looks for panics and compares the framing of accepted responses
// with net/http.
func FuzzResponse(f *testing.F) {
	for _, p := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.0 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 304\r\nContent-Length: 7\r\n\r\n",
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		size, _, err := headEnd(p, 0)
		if err != nil || size == 0 {
			return
		}
		h, err := parseResponse(p[:size])
		if err != nil || h.status < 200 {
			return
		}
		if e := editConnection(p[:size], addClose); !mustParse(t, e).closes {
			t.Errorf("edited to %q", e)
		}
		b := responseBody(&head{}, &h)
		n, done, err := b.take(p[size:])
		if err != nil || !done {
			return
		}
		rest := bytes.NewReader(p)
		r := bufio.NewReader(rest)
		want, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, want.Body); err != nil {
			return
		}
		if left := r.Buffered() + rest.Len(); left != len(p)-size-n {
			t.Errorf("%d bytes left, net/http leaves %d of %q", len(p)-size-n, left, p)
		}
	})
}

func mustParse(t *testing.T, p []byte) head {
	h, err := parseResponse(p)
	if err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	return h
}

// FuzzChunks parses the same body in one piece and byte by byte.
func FuzzChunks(f *testing.F) {
	for _, p := range []string{"5\r\nhello\r\n0\r\n\r\n", "a;x=\"y\"\r\n0123456789\r\n00\r\nA: b\r\n\r\nrest", "fffffffffffffff\r\n"} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var whole, parts chunks
		n, done, err := whole.take(p)
		var m int
		var partly bool
		var failed error
		for m < len(p) && !partly && failed == nil {
			var k int
			k, partly, failed = parts.take(p[m : m+1])
			m += k
		}
		if n != m || done != partly || (err == nil) != (failed == nil) {
			t.Errorf("whole: %d, %v, %v; byte by byte: %d, %v, %v", n, done, err, m, partly, failed)
		}
	})
}

func TestSniff(t *testing.T) {
	for in, want := range map[string]verdict{
		"":                                  unsure,
		"GE":                                unsure,
		"GET /path":                         unsure,
		"GET / HTTP/1.1\r\n":                isHTTP,
		"GET / HTTP/1.0\n":                  isHTTP, // to be refused
		"GET /a b HTTP/1.9\r\n":             isHTTP, // to be refused
		"PRI * HTTP/2.0\r\n":                isOther,
		"\x16\x03\x01":                      isOther,
		"*1\r\n$4\r\nPING\r\n":              isOther,
		"EHLO mail\r\n":                     isOther,
		"AMQP\x00":                          isOther,
		"GET /\x01":                         isOther,
		" HTTP/1.1\r\n":                     isOther,
		"\r\n":                              isOther,
		"averyveryverylongfirstwordwithout": isOther,
	} {
		if got := sniff([]byte(in)); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}
