package learn

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTarget(t *testing.T) {
	for _, tc := range []struct{ arg, ip, want string }{
		{"/", "10.0.0.9", "http://10.0.0.9/"},
		{"/a?b=c#d", "10.0.0.9", "http://10.0.0.9/a?b=c"},
		{":8080/a", "10.0.0.9", "http://10.0.0.9:8080/a"},
		{":8080", "fd00::9", "http://[fd00::9]:8080/"},
		{"https://example.org", "10.0.0.9", "https://example.org/"},
		{"http://shop.test:81/x", "10.0.0.9", "http://shop.test:81/x"},
	} {
		got, err := target(tc.arg, tc.ip)
		if err != nil || got != tc.want {
			t.Errorf("target(%q): got %q, %v, want %q", tc.arg, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "x", "ftp://a/", "http://", ":port/", "http://%zz/"} {
		if got, err := target(bad, "10.0.0.9"); err == nil {
			t.Errorf("target(%q): got %q, want an error", bad, got)
		}
	}
}

func TestArgv(t *testing.T) {
	for _, tc := range []struct {
		command string
		want    []string
	}{
		{"redis-cli  save", []string{"redis-cli", "save"}},
		{"a && b", []string{"/bin/sh", "-c", "a && b"}},
		{"echo 'a b'", []string{"/bin/sh", "-c", "echo 'a b'"}},
		{"echo $HOME", []string{"/bin/sh", "-c", "echo $HOME"}},
	} {
		if d := cmp.Diff(argv(tc.command), tc.want); d != "" {
			t.Errorf("argv(%q) (-got +want):\n%s", tc.command, d)
		}
	}
}

func TestLastBytesKeepsTheEnd(t *testing.T) {
	var b lastBytes
	for range 100 {
		io.WriteString(&b, strings.Repeat("x", 1000))
	}
	io.WriteString(&b, "the end")
	if len(b.bytes) != maxOutput || !strings.HasSuffix(string(b.bytes), "xthe end") {
		t.Errorf("kept %d bytes, ending in %q", len(b.bytes), b.bytes[len(b.bytes)-10:])
	}
}

// outcomes runs all of the load on a server.
func outcomes(t *testing.T, server *httptest.Server) []Outcome {
	t.Helper()
	c := client("127.0.0.1")
	defer c.CloseIdleConnections()
	var out []Outcome
	for _, r := range requests(server.URL + "/x") {
		o := r.run(t.Context(), c)
		o.Load, _, _ = strings.Cut(o.Load, " ")
		out = append(out, o)
	}
	return out
}

func TestRequests(t *testing.T) {
	answer := func(get, post int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(post)
				return
			}
			w.WriteHeader(get)
		}
	}
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    []string // method, class and whether it is OK
	}{
		{"serves all", answer(200, 201), []string{"GET 2 ok", "HEAD 2 ok", "POST 2 ok"}},
		{"redirects, which is not followed", answer(302, 303), []string{"GET 3 ok", "HEAD 3 ok", "POST 3 ok"}},
		{"wants no body", answer(200, 405), []string{"GET 2 ok", "HEAD 2 ok", "POST refused ok"}},
		{"knows no such method", answer(404, 501), []string{"GET 4 ok", "HEAD 4 ok", "POST refused ok"}},
		{"implements no method", answer(501, 501), []string{"GET 5 ok", "HEAD 5 ok", "POST refused ok"}},
		{"cannot store the body", answer(200, 500), []string{"GET 2 ok", "HEAD 2 ok", "POST 5 bad"}},
		{"is broken", answer(503, 503), []string{"GET 5 bad", "HEAD 5 bad", "POST 5 bad"}},
		{"closes at a body", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
		}, []string{"GET 2 ok", "HEAD 2 ok", "POST refused ok"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			defer server.Close()
			var got []string
			for _, o := range outcomes(t, server) {
				verdict := " bad"
				if o.OK {
					verdict = " ok"
				}
				got = append(got, o.Load+" "+o.Class+verdict)
			}
			if d := cmp.Diff(got, tc.want); d != "" {
				t.Errorf("outcomes (-got +want):\n%s", d)
			}
		})
	}
}

// TestAnAnswerWithoutReadingTheBody uses a server that answers without reading
// the body. It may close the connection before the client has read the answer,
// which is chance and must not change the verdict.
func TestAnAnswerWithoutReadingTheBody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 512)
			conn.Read(buf)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			conn.Close()
		}
	}()
	c := client("127.0.0.1")
	defer c.CloseIdleConnections()
	for range 50 {
		o := request{http.MethodPost, "http://" + l.Addr().String() + "/", spooledBody, 2}.run(t.Context(), c)
		if o.Result != "200" {
			t.Fatalf("got %+v, want 200", o)
		}
	}
}

func TestAsGood(t *testing.T) {
	cut := Outcome{Result: "refused early", OK: true, Class: refused}
	ok := Outcome{Result: "200", OK: true, Class: "2"}
	broken := Outcome{Result: "500", Class: "5"}
	for _, tc := range []struct {
		name             string
		sealed, writable Outcome
		want             bool
	}{
		{"answered in both", ok, ok, true},
		{"closed at the body, then answered", ok, cut, true},
		{"answered, then closed", cut, ok, false},
		{"closed at the body, then broken", broken, cut, false},
		{"broken in both", broken, broken, true},
	} {
		if got := tc.sealed.isAsGood(tc.writable); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestVirtualHosts checks that every host in a URL leads to the pod, also over
// TLS with a self-signed certificate.
func TestVirtualHosts(t *testing.T) {
	hosts := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hosts <- r.Host }))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := client("127.0.0.1")
	defer c.CloseIdleConnections()
	o := request{http.MethodGet, "https://shop.test:" + u.Port() + "/", 0, 1}.run(t.Context(), c)
	if !o.OK || <-hosts != "shop.test:"+u.Port() {
		t.Errorf("got %+v", o)
	}
}

func portNumber(t *testing.T, address string) int32 {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

func TestHTTPIsFound(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "220 not http\r\n")
			conn.Close()
		}
	}()
	ports := []int32{portNumber(t, plain.URL), portNumber(t, secure.URL), portNumber(t, "tcp://"+other.Addr().String())}
	got := httpBases(t.Context(), "127.0.0.1", ports)
	if d := cmp.Diff(got, []string{plain.URL + "/", secure.URL + "/"}); d != "" {
		t.Errorf("found (-got +want):\n%s", d)
	}
}

func TestDetectedPagesAreRequestedInEveryRun(t *testing.T) {
	for url, want := range map[string]string{
		"http://10.0.0.9:8080/":  ":8080/",
		"https://10.0.0.9:8443/": "https://10.0.0.9:8443/",
	} {
		if got := elsewhere(url); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
	o := Options{Ready: time.Minute}.asIn(trial{pieces: []piece{{http: ":8080/", found: true}}, answered: time.Second})
	if len(o.pieces) != 1 || o.patience != 12*time.Second || o.listening == nil {
		t.Errorf("got %+v", o)
	}
}

func TestAcceptsEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !accepts(t.Context(), l.Addr().String()) {
		t.Error("what listens is not found")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if accepts(ctx, "127.0.0.1:1") {
		t.Error("something listens at port 1")
	}
}
