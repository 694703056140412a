package traffic_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// routed applies listeners with a backend each, which only rules lead to, and one on a
// free port with the rules.
func routed(t *testing.T, rules []traffic.Rule, o traffic.Listener, backends ...traffic.Backend) (*traffic.Pool, *front) {
	t.Helper()
	p := traffic.NewPool()
	t.Cleanup(func() { p.Close() })
	f := &front{t: t, pool: p, address: refusing(t, "").Address}
	o.Name, o.Address, o.Protocol, o.Rules = "front", f.address, traffic.HTTP, rules
	f.list = append(f.list, o)
	for _, b := range backends {
		f.list = append(f.list, traffic.Listener{Name: b.ID, Route: traffic.Route{Backends: []traffic.Backend{b}}})
	}
	f.apply()
	return p, f
}

// front is the listener with rules.
type front struct {
	t       *testing.T
	pool    *traffic.Pool
	address string
	list    []traffic.Listener // the first is the one with rules
}

func (f *front) apply() {
	f.t.Helper()
	for name, err := range f.pool.Apply(f.t.Context(), f.list) {
		f.t.Fatal(name, err)
	}
}

func (f *front) dial() (net.Conn, *bufio.Reader) {
	f.t.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon))
	return c, bufio.NewReader(c)
}

func TestRules(t *testing.T) {
	rules := []traffic.Rule{
		{Host: "a.example.com", Path: "/", To: "root"},
		{Host: "a.example.com", Path: "/foo", To: "foo"},
		{Host: "a.example.com", Path: "/foo/bar/", To: "bar"},
		{Host: "a.example.com", Path: "/foo", Exact: true, To: "exact"},
		{Host: "a.example.com", Path: "/foo/dir/", Exact: true, To: "exact"},
		{Host: "a.example.com", Path: "/foo", To: "twice"},
		{Host: "a.example.com", Path: "/missing", To: "none"},
		{Host: "a.example.com", Path: "/caf%C3%A9", To: "cafe"},
		{Host: "b.example.com", Path: "/only", To: "foo"},
		{Host: "*.Example.com", Path: "/", To: "wild"},
		{Path: "/any", To: "any"},
	}
	var backends []traffic.Backend
	for _, id := range []string{"root", "foo", "bar", "exact", "twice", "cafe", "wild", "any"} {
		backends = append(backends, serveHTTP(t, id, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, id)
		}))
	}
	_, f := routed(t, rules, traffic.Listener{}, backends...)
	c, r := f.dial()
	for _, tt := range []struct {
		host, target string
		status       int
		want         string // the backend
	}{
		{"a.example.com", "/", 200, "root"},
		{"A.Example.COM:8080", "/", 200, "root"},
		{"a.example.com.", "/", 200, "root"},
		{"a.example.com", "/foo", 200, "exact"},
		{"a.example.com", "/foo?x=/../", 200, "exact"},
		{"a.example.com", "/foo/", 200, "foo"},
		{"a.example.com", "/foo/baz", 200, "foo"},
		{"a.example.com", "/foobar", 200, "root"},
		{"a.example.com", "/FOO", 200, "root"},
		{"a.example.com", "/foo/bar", 200, "bar"},
		{"a.example.com", "/foo/bar/x/y/z", 200, "bar"},
		{"a.example.com", "/foo/barx", 200, "foo"},
		{"a.example.com", "/foo/dir/", 200, "exact"},
		{"a.example.com", "/foo/dir", 200, "foo"},
		{"a.example.com", "/missing/x", 503, ""},
		{"a.example.com", "/caf%c3%a9/menu", 200, "cafe"},

		// The same path to a server that decodes it.
		{"a.example.com", "/%66oo/b%61r", 200, "bar"},
		{"a.example.com", "//foo//bar", 200, "bar"},
		{"a.example.com", "/foo;a=b/bar;c", 200, "bar"},
		{"a.example.com", "/;x/foo/bar", 200, "bar"},
		{"a.example.com", "/foo%3Bbar", 200, "root"},
		{"a.example.com", "/foo/.bar", 200, "foo"},
		{"a.example.com", "/foo/...", 200, "foo"},
		{"a.example.com", "/100%25/x", 200, "root"},

		// Servers read these in different ways.
		{"a.example.com", "/foo/../bar", 400, ""},
		{"a.example.com", "/foo/..", 400, ""},
		{"a.example.com", "/foo/./bar", 400, ""},
		{"a.example.com", "/foo/%2e%2E/bar", 400, ""},
		{"a.example.com", "/foo/.%2e", 400, ""},
		{"a.example.com", "/foo/..;/bar", 400, ""},
		{"a.example.com", "/foo%2fbar", 400, ""},
		{"a.example.com", "/foo%2Fbar", 400, ""},
		{"a.example.com", "/foo%5cbar", 400, ""},
		{"a.example.com", "/foo\\bar", 400, ""},
		{"a.example.com", "/foo%00", 400, ""},
		{"a.example.com", "/foo;x%2f..", 400, ""},
		{"a.example.com", "/;#", 400, ""},
		{"a.example.com", "/foo%0d%0ax", 400, ""},
		{"a.example.com", "/foo#bar", 400, ""},
		{"a.example.com", "/foo%", 400, ""},
		{"a.example.com", "/foo%6", 400, ""},
		{"a.example.com", "/foo%zz", 400, ""},
		{"a.example.com", "http://b.example.com/only", 400, ""},
		{"a.example.com", "*", 400, ""},
		{"a.example.com", "?x", 400, ""},
		{"a.example.com:x", "/", 400, ""},
		{"a.example.com:80:80", "/", 400, ""},

		{"b.example.com", "/only/this", 200, "foo"},
		{"b.example.com", "/", 404, ""}, // and not the one of "*.example.com"
		{"c.example.com", "/any", 200, "wild"},
		{"c.d.example.com", "/any", 200, "any"},
		{".example.com", "/any", 200, "any"},
		{"example.com", "/any", 200, "any"},
		{"example.com", "/", 404, ""},
		{"", "/any", 200, "any"},
		{"[::1]:80", "/any", 200, "any"},
		{"127.0.0.1", "/x", 404, ""},
	} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", tt.target, tt.host)
		resp, body := answer(t, r, "GET")
		if resp.StatusCode != tt.status || tt.want != "" && body != tt.want {
			t.Errorf("%s%s: got %d %q, want %d %s", tt.host, tt.target, resp.StatusCode, body, tt.status, tt.want)
		}
		if resp.Close {
			t.Fatalf("%s%s: the connection ends", tt.host, tt.target)
		}
	}
}

// TestRulesAnswer looks at the answers that need no backend: the connection goes on only
// if nothing of the request is left on it.
func TestRulesAnswer(t *testing.T) {
	_, f := routed(t, []traffic.Rule{{Host: "x", Path: "/here", To: "a"}, {Host: "tls", Path: "/", To: "a", Redirect: 443}, {Host: "tls8443", Path: "/", Redirect: 8443}},
		traffic.Listener{}, named(t, "a"))
	for _, tt := range []struct {
		name, request, want string
		close               bool
	}{
		{"get", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404", false},
		{"head", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "404", false},
		{"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "404", false},
		{"body to come", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhi", "404", true},
		{"close", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404", true},
		{"1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "404", true},
		{"connect", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "400", false},
		{"redirect", "GET /a%20b?c HTTP/1.1\r\nHost: TLS:80\r\n\r\n", "308 https://tls/a%20b?c", false},
		{"redirect post", "POST / HTTP/1.1\r\nHost: tls8443.\r\nContent-Length: 2\r\n\r\nhi", "308 https://tls8443:8443/", false},
		{"upgrade", "GET /ws HTTP/1.1\r\nHost: tls\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "308 https://tls/ws", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := f.dial()
			method, _, _ := strings.Cut(tt.request, " ")
			io.WriteString(c, tt.request)
			resp, _ := answer(t, r, method)
			if got := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Location"))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if resp.Close != tt.close {
				t.Errorf("closes: %v", resp.Close)
			}
			if tt.close {
				return
			}
			io.WriteString(c, "GET /here HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, got := answer(t, r, "GET"); got != "a" {
				t.Errorf("then %q", got)
			}
		})
	}
}

// TestRulesChange changes the rules and backends while a client keeps its connection.
func TestRulesChange(t *testing.T) {
	p, f := routed(t, []traffic.Rule{{Path: "/", To: "a", Forwarding: traffic.ForwardReplace}}, traffic.Listener{}, named(t, "a"), named(t, "b"))
	c, r := f.dial()
	ask := func(status int, want string) {
		t.Helper()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, got := answer(t, r, "GET"); resp.StatusCode != status || want != "" && got != want {
			t.Errorf("got %d %q, want %d %q", resp.StatusCode, got, status, want)
		}
	}
	ask(200, "a")
	f.list[0].Rules = []traffic.Rule{{Path: "/", To: "b"}}
	f.apply()
	ask(200, "b")
	stats := p.Stats(t.Context())
	if stats["a"]["a"].Requests != 1 || stats["b"]["b"].Requests != 1 || len(stats["front"]) != 0 {
		t.Errorf("counted %v", stats)
	}
	// A Service that is removed cuts what is in flight, and the proxy counts a request until
	// a moment after its answer has arrived.
	eventually(t, "the end of the request", func() bool { return p.Stats(t.Context())["b"]["b"].Active == 0 })
	without := f.list[:2]
	f.list = without
	f.apply()
	ask(503, "")
	// A rule that servers read in different ways changes nothing.
	broken := without[0]
	broken.Rules = []traffic.Rule{{Path: "/a/../b", To: "a"}}
	if err := p.Apply(t.Context(), []traffic.Listener{broken})["front"]; err == nil {
		t.Error("accepted")
	}
}

// TestRulesShares divides the requests through rules as those of the Service itself.
func TestRulesShares(t *testing.T) {
	p, f := routed(t, []traffic.Rule{{Path: "/", To: "web"}}, traffic.Listener{})
	old, canary := named(t, "old"), named(t, "canary")
	f.list = append(f.list, traffic.Listener{Name: "web", Route: traffic.Route{
		Backends: []traffic.Backend{old, canary}, Shares: map[string]int{"old": 75, "canary": 25},
	}})
	f.apply()
	c, r := f.dial()
	for range 100 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer(t, r, "GET")
	}
	if s := p.Stats(t.Context())["web"]; s["canary"].Requests != 25 || s["old"].Requests != 75 {
		t.Errorf("counted %v", s)
	}
}

// TestRulesDrain drains a backend with a WebSocket that came through rules and TLS: it
// goes on until the backend has ended, and then ends whole.
func TestRulesDrain(t *testing.T) {
	secured := cert(t, []string{"example.com"})
	ending := make(chan struct{})
	ws := serveConn(t, "ws", func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		<-ending
		io.WriteString(c, "bye")
	})
	p, f := routed(t, []traffic.Rule{{Host: "example.com", Path: "/", To: "ws"}}, traffic.Listener{TLS: &traffic.TLS{Certificates: []traffic.Certificate{secured}}}, ws)
	conn, r := secureDial(t, f, trusting("example.com", secured))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	if err := readHead(r); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Peek(5); string(got) != "hello" {
		t.Fatal(string(got), err)
	}
	f.list[1].Route = traffic.Route{}
	f.apply()
	if n := p.Clients(); n != 1 {
		t.Errorf("%d clients", n)
	}
	close(ending)
	p.Ended(t.Context(), "ws")
	if got, err := io.ReadAll(r); err != nil || string(got) != "hellobye" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := p.Drain(t.Context(), "ws"); err != nil {
		t.Error(err)
	}
}
