package traffic_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestReplacementsFailNoRequest checks that keep-alive clients that send all
// the time see none of 20 replacements, each of which shuts down the old
// backend.
func TestReplacementsFailNoRequest(t *testing.T) {
	b := listen(t, traffic.Options{})
	old := replaceable()
	b.Set(traffic.Route{Backends: []traffic.Backend{at("0", old)}})
	sent, stop := load(t, b)
	for n := range 20 {
		before := sent.Load()
		eventually(t, "requests", func() bool { return sent.Load() > before+10 })
		next := replaceable()
		b.Set(traffic.Route{Backends: []traffic.Backend{at(fmt.Sprint(n+1), next)}})
		drain(t, b, fmt.Sprint(n))
		old.CloseClientConnections()
		old.Close()
		old = next
	}
	failed := stop()
	old.Close()
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failed), sent.Load(), failed)
	}
}

func at(id string, s *httptest.Server) traffic.Backend {
	return traffic.Backend{ID: id, Address: s.Listener.Addr().String(), Group: id}
}

// replaceable returns a server that answers with the length of the body that it
// received so far.
func replaceable() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
		w.(http.Flusher).Flush()
		time.Sleep(time.Millisecond) // so that replacements meet requests in flight
		fmt.Fprint(w, " bytes")
	}))
}

// load sends requests of all kinds and counts them until it is stopped. stop
// returns the failures.
func load(t *testing.T, b *traffic.Balancer) (sent *atomic.Int64, stop func() []string) {
	sent = &atomic.Int64{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []string
	ctx, cancel := context.WithCancel(t.Context())
	for _, size := range []int{0, 0, 10, 100_000} {
		client := keepAlive(t)
		wg.Go(func() {
			for ctx.Err() == nil {
				sent.Add(1)
				if got := echo(client, b, size); got != fmt.Sprint(size, " bytes") {
					mu.Lock()
					failed = append(failed, got)
					mu.Unlock()
				}
			}
		})
	}
	return sent, func() []string { cancel(); wg.Wait(); return failed }
}

// echo sends a GET, or a POST with a body of the given size.
func echo(c *http.Client, b *traffic.Balancer, size int) string {
	if size == 0 {
		_, body := get(c, b, "/")
		return body
	}
	resp, err := c.Post("http://"+b.Addr().String(), "text/plain", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body) + errText(err)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// inFlight returns a balancer over one backend, and a response of that backend that is
// half sent. The rest is sent once the channel is closed.
func inFlight(t *testing.T) (b *traffic.Balancer, slow traffic.Backend, resp *http.Response, may chan struct{}) {
	t.Helper()
	may = make(chan struct{})
	slow = serveHTTP(t, "slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "one half, ")
		w.(http.Flusher).Flush()
		select {
		case <-may:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, "and the other")
	})
	b = listen(t, traffic.Options{}, slow)
	resp, err := keepAlive(t).Get("http://" + b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return b, slow, resp, may
}

func TestDrainWaitsForWhatIsInFlight(t *testing.T) {
	b, _, resp, may := inFlight(t)
	b.Set(traffic.Route{Backends: []traffic.Backend{named(t, "next")}})
	drained := make(chan error)
	go func() { drained <- b.Drain(t.Context(), "slow") }()
	if got := count(t, b, 5); got["next"] != 5 {
		t.Errorf("others got %v", got)
	}
	select {
	case err := <-drained:
		t.Fatal("drained with a request in flight:", err)
	default:
	}
	close(may)
	if body, err := io.ReadAll(resp.Body); string(body) != "one half, and the other" {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestDrainEndsWithItsContext(t *testing.T) {
	b, _, resp, _ := inFlight(t)
	b.Set(traffic.Route{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Drain(ctx, "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("cut response looks whole: %q", body)
	}
	drain(t, b, "slow")
	if s := b.Stats()["slow"]; s != (traffic.Stats{Requests: 1}) {
		t.Errorf("got %+v; what we cut is no error of the backend", s)
	}
}

func TestDrainOfWhatIsInTheRoute(t *testing.T) {
	b := listen(t, traffic.Options{}, named(t, "a"))
	if err := b.Drain(t.Context(), "a"); err == nil {
		t.Error("got no error")
	}
	drain(t, b, "unknown")
}

// TestSilentClientDoesNotHoldABackend checks that a client that sends nothing
// does not delay the drain of a backend.
func TestSilentClientDoesNotHoldABackend(t *testing.T) {
	b := listen(t, traffic.Options{}, named(t, "a"))
	c, r := dial(t, b)
	eventually(t, "a connection for the client", func() bool { return b.Stats()["a"].Active == 1 })
	b.Set(traffic.Route{Backends: []traffic.Backend{named(t, "b")}})
	drain(t, b, "a")
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, body := answer(t, r, "GET"); body != "b" {
		t.Errorf("got %q", body)
	}
	if s := b.Stats()["a"]; s != (traffic.Stats{}) {
		t.Errorf("got %+v", s)
	}
}

// TestBackendThatReturns checks that a backend which returns to the route
// before it is drained continues.
func TestBackendThatReturns(t *testing.T) {
	b, slow, resp, may := inFlight(t)
	b.Set(traffic.Route{})
	b.Set(traffic.Route{Backends: []traffic.Backend{slow}})
	close(may)
	if body, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	if code, _ := get(keepAlive(t), b, "/"); code != http.StatusOK {
		t.Errorf("got status %d", code)
	}
	b.Set(traffic.Route{})
	drain(t, b, "slow")
}

// TestEndedBackend uses a client that does not close its connection when the
// backend does, as the connections in a pool. It must not delay the drain of a
// backend that has ended, and gets everything that the backend sent.
func TestEndedBackend(t *testing.T) {
	for _, first := range []string{"the connection ends", "the backend is known to have ended"} {
		t.Run(first+" first", func(t *testing.T) {
			end := make(chan struct{})
			b := listen(t, traffic.Options{Protocol: traffic.TCP}, serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
				r.ReadString('\n')
				<-end
				io.WriteString(c, strings.Repeat("x", 1<<20)+"bye\n")
			}))
			c, r := dial(t, b)
			io.WriteString(c, "hello\n")
			eventually(t, "a connection", func() bool { return b.Stats()["a"].Active == 1 })
			b.Set(traffic.Route{})
			if first == "the connection ends" {
				close(end)
				r.ReadString('\n')
				b.Ended("a")
			} else {
				b.Ended("a")
				close(end)
				if line, err := r.ReadString('\n'); len(line) != 1<<20+4 {
					t.Errorf("got %d bytes, %v", len(line), err)
				}
			}
			drain(t, b, "a")
		})
	}
}
