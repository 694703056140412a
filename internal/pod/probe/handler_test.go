package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	health "google.golang.org/grpc/health/grpc_health_v1"
)

// serve runs an HTTP server and returns a probe of one of its paths.
func serve(t *testing.T, tls bool, path string) HTTP {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "fine") })
	mux.HandleFunc("/code", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("n"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/code?n=500", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/head", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.Header.Get("User-Agent"), " ", r.Header.Get("X-Own"), " ", r.Header["Accept"])
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)) })
	server := httptest.NewUnstartedServer(mux)
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(u.Port())
	return HTTP{Scheme: strings.ToUpper(u.Scheme), Host: u.Hostname(), Port: port, Path: path}
}

func TestHTTP(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		tls        bool
		header     http.Header
		ok         bool
		output     string // part of the output
	}{
		{"ok", "/ok", false, nil, true, "fine"},
		{"https with any certificate", "/ok", true, nil, true, "fine"},
		{"lowest good status", "/code?n=200", false, nil, true, ""},
		{"highest good status", "/code?n=399", false, nil, true, ""},
		{"client error", "/code?n=404", false, nil, false, "statuscode: 404"},
		{"server error", "/code?n=503", false, nil, false, "statuscode: 503"},
		{"redirected on the host", "/here", false, nil, false, "statuscode: 500"},
		{"redirected away", "/away", false, nil, true, "terminated redirects"},
		{"redirected for ever", "/round", false, nil, false, "stopped after 10 redirects"},
		{"names itself", "/head", false, nil, true, "kube-probe/1.37  [*/*]"},
		{"own headers", "/head", false, http.Header{"Host": {"shop.test"}, "X-Own": {"1"}, "User-Agent": {"me"}, "Accept": {""}}, true, "shop.test me 1 []"},
		{"long body", "/long", false, nil, true, "xxx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, tt.tls, tt.path)
			h.Header = tt.header
			got := h.Probe(t.Context())
			if got.OK != tt.ok || !strings.Contains(got.Output, tt.output) || len(got.Output) > maxOutput {
				t.Errorf("got %+.200v, want %v with %q", got, tt.ok, tt.output)
			}
		})
	}
}

// A hook succeeds with any response.
func TestGet(t *testing.T) {
	for path, ok := range map[string]bool{"/code?n=500": true, "/away": true, "/ok": true} {
		if err := Get(t.Context(), serve(t, false, path)); (err == nil) != ok {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if err := Get(t.Context(), HTTP{Host: "127.0.0.1", Port: closedPort(t)}); err == nil {
		t.Error("nobody answers: got no error")
	}
}

// closedPort returns a port on which nobody listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := (TCP{"127.0.0.1", l.Addr().(*net.TCPAddr).Port}).Probe(t.Context()); !got.OK {
		t.Errorf("got %+v of an open port", got)
	}
	if got := (TCP{"127.0.0.1", closedPort(t)}).Probe(t.Context()); got.OK || !strings.Contains(got.Output, "refused") {
		t.Errorf("got %+v of a closed port", got)
	}
}

func TestGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, states := grpc.NewServer(), grpchealth.NewServer()
	states.SetServingStatus("sick", health.HealthCheckResponse_NOT_SERVING)
	health.RegisterHealthServer(server, states)
	go server.Serve(l)
	defer server.Stop()
	port := l.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct {
		name, service string
		port          int
		ok            bool
		output        string
	}{
		{"healthy", "", port, true, "healthy"},
		{"not serving", "sick", port, false, "NOT_SERVING"},
		{"unknown service", "none", port, false, "unknown service"},
		{"nobody there", "", closedPort(t), false, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := GRPC{Host: "127.0.0.1", Port: tt.port, Service: tt.service}.Probe(t.Context())
			if got.OK != tt.ok || !strings.Contains(got.Output, tt.output) {
				t.Errorf("got %+v, want %v with %q", got, tt.ok, tt.output)
			}
		})
	}
}

func TestExec(t *testing.T) {
	for _, tt := range []struct {
		name   string
		out    string
		code   int
		err    error
		ok     bool
		output string
	}{
		{"good", "fine", 0, nil, true, "fine"},
		{"bad", "no such table", 3, nil, false, "exit code 3: no such table"},
		{"cannot run", "", 0, errors.New("no such program"), false, "no such program"},
		{"too slow", "", 0, context.DeadlineExceeded, false, `"check it" timed out after 2s`},
		{"long", strings.Repeat("x", 1<<20), 0, nil, true, "xxx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			e := Exec{Command: []string{"check", "it"}, Run: func(context.Context, []string, time.Duration) ([]byte, int, error) {
				return []byte(tt.out), tt.code, tt.err
			}}
			got := e.Probe(ctx)
			if got.OK != tt.ok || !strings.Contains(got.Output, tt.output) || len(got.Output) > maxOutput {
				t.Errorf("got %+.200v, want %v with %q", got, tt.ok, tt.output)
			}
		})
	}
}
