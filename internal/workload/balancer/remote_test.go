package balancer_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/balancer"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
	"github.com/adamant-sh/adamant/test/certificate"
)

// soon is the limit for things that happen at once on an idle machine.
const soon = 30 * time.Second

// TestMain is also the main function of the processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "balancer" {
		os.Exit(runBalancer(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func runBalancer(args []string) int {
	flags := flag.NewFlagSet("balancer", flag.ExitOnError)
	dir, from := flags.String("dir", "", ""), flags.String("from", "", "")
	flags.Parse(args)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := balancer.Run(ctx, *dir, *from); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A lab is a directory of processes with one listener.
type lab struct {
	t        *testing.T
	dir      string
	program  string
	listener traffic.Listener
	pair     certificate.Pair
	backend  string
}

// newLab starts a backend that serves HTTP and, on another port, echoes. The end of the
// test ends all processes.
func newLab(t *testing.T) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "adamant-balancer-") // t.TempDir is too long for a socket
	check(t, err)
	l := &lab{t: t, dir: filepath.Join(dir, "traffic"), program: os.Args[0], pair: certificate.Make(t, "web.test")}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "hello")
	}))
	l.backend = echo(t)
	l.listener = traffic.Listener{
		Name: "web", Address: freeAddress(t),
		Route: traffic.Route{Backends: []traffic.Backend{{ID: "a", Address: web.Listener.Addr().String(), Group: "g"}}},
	}
	t.Cleanup(func() {
		check(t, balancer.End(context.Background(), l.dir))
		check(t, os.RemoveAll(dir))
		web.Close()
	})
	return l
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// echo is a server that sends back each line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// open opens a Remote, as a daemon does.
func (l *lab) open() *balancer.Remote {
	l.t.Helper()
	r, err := balancer.Open(l.t.Context(), balancer.Options{
		Dir: l.dir, Command: []string{l.program, "balancer"}, Log: func(err error) { l.t.Log(err) },
	})
	check(l.t, err)
	return r
}

// apply applies the listener and one of the same backend for TCP.
func (l *lab) apply(r *balancer.Remote) {
	l.t.Helper()
	for name, err := range r.Apply(l.t.Context(), append([]traffic.Listener{l.listener, l.tunnel()}, l.secured()...), nil) {
		l.t.Fatal(name, err)
	}
}

// secured returns a listener with TLS whose rule leads to one without an address.
func (l *lab) secured() []traffic.Listener {
	_, port, err := net.SplitHostPort(l.listener.Address)
	check(l.t, err)
	return []traffic.Listener{
		{
			Name: "secured", Address: net.JoinHostPort("127.0.0.3", port), Protocol: traffic.HTTP,
			TLS:   &traffic.TLS{Certificates: []traffic.Certificate{{Chain: l.pair.Chain, Key: l.pair.Key}}},
			Rules: []traffic.Rule{{Host: "web.test", Path: "/", To: "inside"}},
		},
		{Name: "inside", Route: l.listener.Route},
	}
}

// trusting returns a client that keeps one connection with TLS.
func (l *lab) trusting() (ask func() (string, error)) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.pair.Chain)
	tr := &http.Transport{MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.secured()[0].Address)
	}}
	l.t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr, Timeout: soon}
	return func() (string, error) {
		resp, err := client.Get("https://web.test/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
}

func (l *lab) tunnel() traffic.Listener {
	// The port of another loopback address is free, too.
	_, port, err := net.SplitHostPort(l.listener.Address)
	check(l.t, err)
	return traffic.Listener{
		Name: "tunnel", Address: net.JoinHostPort("127.0.0.2", port), Protocol: traffic.TCP,
		Route: traffic.Route{Backends: []traffic.Backend{{ID: "b", Address: l.backend, Group: "g"}}},
	}
}

// processes returns the running processes.
func (l *lab) processes() []balancer.Process {
	l.t.Helper()
	list, err := balancer.List(context.Background(), l.dir)
	check(l.t, err)
	return list
}

// primary returns the process that accepts clients.
func (l *lab) primary() balancer.Process {
	l.t.Helper()
	list := slices.DeleteFunc(l.processes(), func(p balancer.Process) bool { return p.Retired })
	if len(list) != 1 {
		l.t.Fatalf("got %+v, want one process that accepts clients", list)
	}
	return list[0]
}

func (l *lab) until(what string, is func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(soon); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatal("not yet: " + what)
		}
	}
}

// A session is an open connection through the tunnel.
type session struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (l *lab) dial() *session {
	l.t.Helper()
	c, err := net.Dial("tcp", l.tunnel().Address)
	check(l.t, err)
	l.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon))
	return &session{l.t, c, bufio.NewReader(c)}
}

func (s *session) echoes() {
	s.t.Helper()
	fmt.Fprintln(s, "hello")
	if line, err := s.r.ReadString('\n'); line != "hello\n" {
		s.t.Fatalf("the session got %q, %v", line, err)
	}
}

// load sends requests over kept and over new connections, GET and POST, until it is
// stopped. It returns what failed.
func (l *lab) load() (sent *atomic.Int64, stop func() []error) {
	sent = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for n := range 4 {
		tr := &http.Transport{DisableKeepAlives: n%2 == 0}
		client := &http.Client{Transport: tr, Timeout: soon}
		wg.Go(func() {
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := request(client, "http://"+l.listener.Address, n < 2); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
				sent.Add(1)
			}
		})
	}
	return sent, func() []error { cancel(); wg.Wait(); return failed }
}

func request(c *http.Client, url string, post bool) error {
	var resp *http.Response
	var err error
	if post {
		resp, err = c.Post(url, "", io.MultiReader(io.LimitReader(zeros{}, 1000))) // net/http cannot repeat it
	} else {
		resp, err = c.Get(url)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
		return fmt.Errorf("status %d, %q, %w", resp.StatusCode, body, errors.Join(err))
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// during runs do under load, which must not fail.
func (l *lab) during(do func()) {
	l.t.Helper()
	sent, stop := l.load()
	l.until("requests", func() bool { return sent.Load() > 20 })
	do()
	before := sent.Load()
	l.until("more requests", func() bool { return sent.Load() > before+20 })
	if failed := stop(); len(failed) > 0 {
		l.t.Errorf("%d of %d requests failed: %v", len(failed), sent.Load(), failed[0])
	}
}

// TestOutlivesTheDaemon closes a Remote, as a daemon that ends does: the process goes on
// with the last routes, and the next Remote continues with it.
func TestOutlivesTheDaemon(t *testing.T) {
	l := newLab(t)
	r := l.open()
	l.apply(r)
	s, before := l.dial(), l.primary().PID
	s.echoes()
	l.during(func() {
		check(t, r.Close())
		s.echoes()
		r = l.open()
		l.apply(r)
	})
	s.echoes()
	if got := l.primary().PID; got != before {
		t.Errorf("process %d took over from %d", got, before)
	}
	if c := r.Stats(t.Context())["web"]["g"]; c.Requests == 0 || c.Errors > 0 {
		t.Errorf("counted %+v", c)
	}
	check(t, r.Close())
}

// TestKilled kills the process: another one listens at once.
func TestKilled(t *testing.T) {
	l := newLab(t)
	r := l.open()
	defer r.Close()
	l.apply(r)
	before := l.primary().PID
	check(t, syscall.Kill(before, syscall.SIGKILL))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}
	l.until("a request is answered", func() bool { return request(client, "http://"+l.listener.Address, false) == nil })
	if got := l.primary(); got.PID == before || len(got.Listeners) != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestKilledAddressTaken kills the process while one of its addresses is in use: another
// one listens there as soon as it can.
func TestKilledAddressTaken(t *testing.T) {
	l := newLab(t)
	r := l.open()
	defer r.Close()
	other, err := net.Listen("tcp", l.listener.Address)
	check(t, err)
	defer other.Close()
	if failed := r.Apply(t.Context(), []traffic.Listener{l.listener, l.tunnel()}, nil); len(failed) != 1 {
		t.Errorf("got %v, want one that failed", failed)
	}
	before := l.primary().PID
	check(t, syscall.Kill(before, syscall.SIGKILL))
	l.until("another process listens", func() bool {
		list, err := balancer.List(context.Background(), l.dir) // fails for one that is about to end
		return err == nil && slices.ContainsFunc(list, func(p balancer.Process) bool { return p.PID != before && len(p.Listeners) > 0 })
	})
	check(t, other.Close())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: soon}
	l.until("a request is answered", func() bool { return request(client, "http://"+l.listener.Address, false) == nil })
}

// TestUpgrade replaces the process by one of another program file. No request fails,
// a session of the old one goes on, and the old one ends with it.
func TestUpgrade(t *testing.T) {
	l := newLab(t)
	r := l.open()
	l.apply(r)
	s, before := l.dial(), l.primary()
	s.echoes()
	ask := l.trusting()
	mustAnswer(t, ask)
	check(t, r.Close())
	l.program = filepath.Join(filepath.Dir(l.dir), "newer")
	copyFile(t, os.Args[0], l.program)
	r = l.open()
	defer r.Close()
	l.during(func() { l.apply(r) })
	s.echoes()
	if got := l.primary(); got.PID == before.PID || got.Program == before.Program {
		t.Errorf("after the upgrade it is %+v, before %+v", got, before)
	}
	newer := l.dial()
	newer.echoes()
	mustAnswer(t, ask)          // of the old process, which ends the connection
	mustAnswer(t, l.trusting()) // of the newer one
	for _, a := range l.primary().Listeners {
		if a.Name == "inside" {
			t.Errorf("a listener without an address is shown: %v", a)
		}
	}

	// Routes reach both, so that a backend which leaves is drained in both.
	gone := l.tunnel()
	gone.Route = traffic.Route{}
	for name, err := range r.Apply(t.Context(), append([]traffic.Listener{l.listener, gone}, l.secured()...), nil) {
		t.Fatal(name, err)
	}
	s.echoes()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Drain(ctx, "b"); err == nil {
		t.Error("draining a backend in use: no error")
	}
	for _, c := range []*session{s, newer} {
		if _, err := c.r.ReadByte(); err == nil {
			t.Error("the session goes on after it was cut")
		}
	}
	l.until("the old process has ended", func() bool { return len(l.processes()) == 1 })
}

func mustAnswer(t *testing.T, ask func() (string, error)) {
	t.Helper()
	if got, err := ask(); err != nil || got != "hello" {
		t.Errorf("with TLS: %q, %v", got, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, data, 0o755))
}

// TestEndsWithoutListeners checks that no process is left once nothing is to be
// listened to, and that one is there again when something is.
func TestEndsWithoutListeners(t *testing.T) {
	l := newLab(t)
	r := l.open()
	defer r.Close()
	if failed := r.Apply(t.Context(), nil, nil); len(failed) > 0 || len(l.processes()) > 0 {
		t.Errorf("without listeners there are %v, errors %v", l.processes(), failed)
	}
	for range 3 {
		l.apply(r)
		l.dial().echoes()
		for name, err := range r.Apply(t.Context(), nil, nil) {
			t.Error(name, err)
		}
	}
	l.until("all have ended", func() bool { return len(l.processes()) == 0 })
	if _, err := net.Dial("tcp", l.listener.Address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
}

// TestAddressTaken checks that the error of a listener reaches the daemon, and that
// the others are open.
func TestAddressTaken(t *testing.T) {
	l := newLab(t)
	r := l.open()
	defer r.Close()
	other, err := net.Listen("tcp", l.listener.Address)
	check(t, err)
	defer other.Close()
	failed := r.Apply(t.Context(), []traffic.Listener{l.listener, l.tunnel()}, nil)
	if len(failed) != 1 || !errors.Is(failed["web"], syscall.EADDRINUSE) {
		t.Errorf("got %v, want an address in use", failed)
	}
	l.dial().echoes()
	check(t, other.Close())
	l.apply(r)
}

// TestSocketRemoved checks that a process ends that nobody can find any more.
func TestSocketRemoved(t *testing.T) {
	l := newLab(t)
	r := l.open()
	l.apply(r)
	p := l.primary()
	check(t, r.Close())
	check(t, os.RemoveAll(l.dir))
	l.until("the process has ended", func() bool {
		_, err := net.Dial("tcp", p.Listeners[0].Address)
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}
