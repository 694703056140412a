package traffic_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// soon is the limit for things that happen at once on an idle machine.
const soon = 20 * time.Second

// TestMain fails if the tests leave goroutines of the package or sockets.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := leftovers(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// leftovers waits until nothing is left, because the goroutines of a server end
// shortly after it was closed.
func leftovers() error {
	var err error
	for until := time.Now().Add(soon); time.Now().Before(until); runtime.Gosched() {
		if err = leftNow(); err == nil {
			return nil
		}
	}
	return err
}

func leftNow() error {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for s := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(s, "internal/workload/traffic.(") {
			return fmt.Errorf("goroutine left:\n%s", s)
		}
	}
	if n := sockets(); n > 0 {
		return fmt.Errorf("%d sockets left", n)
	}
	return nil
}

// sockets returns the number of open sockets of this process.
func sockets() (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// listen starts a Balancer with backends on a free port until the test ends.
func listen(t *testing.T, o traffic.Options, backends ...traffic.Backend) *traffic.Balancer {
	t.Helper()
	o.Address = "127.0.0.1:0"
	b, err := traffic.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Set(traffic.Route{Backends: backends})
	return b
}

// serveHTTP is a backend of net/http.
func serveHTTP(t *testing.T, id string, h http.HandlerFunc) traffic.Backend {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return traffic.Backend{ID: id, Address: s.Listener.Addr().String(), Group: id}
}

// named is a backend that answers with its name.
func named(t *testing.T, id string) traffic.Backend {
	return serveHTTP(t, id, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, id)
	})
}

// serveConn is a backend that calls f with each connection.
func serveConn(t *testing.T, id string, f func(c net.Conn, r *bufio.Reader)) traffic.Backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return traffic.Backend{ID: id, Address: l.Addr().String(), Group: id}
}

// saying is a backend that reads the head of a request, answers with fixed
// bytes, and closes the connection.
func saying(t *testing.T, id, answer string) traffic.Backend {
	return serveConn(t, id, func(c net.Conn, r *bufio.Reader) {
		if readHead(r) == nil {
			io.WriteString(c, answer)
		}
	})
}

func readHead(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

// refusing is an address on which no server listens.
func refusing(t *testing.T, id string) traffic.Backend {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return traffic.Backend{ID: id, Address: l.Addr().String(), Group: id}
}

// dial connects to a Balancer until the test ends.
func dial(t *testing.T, b *traffic.Balancer) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon))
	return c.(*net.TCPConn), bufio.NewReader(c)
}

// keepAlive is a client that keeps one connection.
func keepAlive(t *testing.T) *http.Client {
	tr := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: soon}
}

// get returns the status and the body, or the error in place of the body.
func get(c *http.Client, b *traffic.Balancer, path string) (int, string) {
	resp, err := c.Get("http://" + b.Addr().String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// answer reads a response and its body.
func answer(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// eventually waits for an effect of another goroutine.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(soon); !is(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatal("not yet: " + what)
		}
	}
}

// drain drains a backend within soon.
func drain(t *testing.T, b *traffic.Balancer, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := b.Drain(ctx, id); err != nil {
		t.Error(err)
	}
}
