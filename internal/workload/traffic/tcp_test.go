package traffic_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// echoing is a backend that sends its name, and then the bytes that it
// receives.
func echoing(t *testing.T, id string) traffic.Backend {
	return serveConn(t, id, func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, id+" ")
		io.Copy(c, r)
		io.WriteString(c, " bye")
		c.(*net.TCPConn).CloseWrite()
	})
}

// hearing is a backend that sends once the client is done.
func hearing(t *testing.T, id string) traffic.Backend {
	return serveConn(t, id, func(c net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		fmt.Fprintf(c, "%s heard %d", id, len(all))
	})
}

// TestTCP checks, for each side that may speak first, that both directions pass
// completely and end separately.
func TestTCP(t *testing.T) {
	large := strings.Repeat("\x00", 1<<20)
	for _, p := range []traffic.Protocol{traffic.TCP, traffic.Auto} {
		for _, tt := range []struct {
			name      string
			backend   traffic.Backend
			say, want string
		}{
			{"the backend speaks first", echoing(t, "a"), "hello", "a hello bye"},
			{"the backend speaks first, the client never", echoing(t, "a"), "", "a  bye"},
			{"binary", hearing(t, "b"), large, "b heard 1048576"},
			{"TLS", hearing(t, "b"), "\x16\x03\x01\x02\x00\x01", "b heard 6"},
			{"HTTP/2", hearing(t, "b"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "b heard 24"},
			{"lines", hearing(t, "b"), "get key\r\n", "b heard 9"},
			{"looks like HTTP for long", hearing(t, "b"), "GET /", "b heard 5"},
			{"nothing", hearing(t, "b"), "", "b heard 0"},
		} {
			t.Run(fmt.Sprint(p, " ", tt.name), func(t *testing.T) {
				c, r := dial(t, listen(t, traffic.Options{Protocol: p}, tt.backend))
				io.WriteString(c, tt.say)
				c.CloseWrite()
				if got, err := io.ReadAll(r); err != nil || string(got) != tt.want {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
}

// TestGreetingComesAtOnce checks that a protocol in which the backend speaks
// first does not wait for the client.
func TestGreetingComesAtOnce(t *testing.T) {
	b := listen(t, traffic.Options{}, echoing(t, "a"))
	c, r := dial(t, b)
	if got, err := r.ReadString(' '); got != "a " {
		t.Fatalf("got %q, %v", got, err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\n\r\n") // which is no HTTP any more
	if got, err := r.ReadString('\n'); got != "GET / HTTP/1.1\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestFirstWordWithoutAnEnd sends bytes that may be the beginning of a request
// line: the balancer waits for the rest only for a while.
func TestFirstWordWithoutAnEnd(t *testing.T) {
	b := listen(t, traffic.Options{}, serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
		word := make([]byte, 4)
		io.ReadFull(r, word)
		c.Write(word)
	}))
	c, r := dial(t, b)
	io.WriteString(c, "PING")
	if got, err := io.ReadAll(r); string(got) != "PING" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestConnectionsAreBalanced checks that a connection goes to the backend with
// the fewest connections, and that the shares of groups hold.
func TestConnectionsAreBalanced(t *testing.T) {
	a1, a2, b1 := echoing(t, "a1"), echoing(t, "a2"), echoing(t, "b1")
	a1.Group, a2.Group, b1.Group = "a", "a", "b"
	for _, p := range []traffic.Protocol{traffic.TCP, traffic.Auto} {
		b := listen(t, traffic.Options{Protocol: p})
		b.Set(traffic.Route{Backends: []traffic.Backend{a1, refusing(t, "down"), a2, b1}, Shares: map[string]int{"a": 3, "b": 1, "down": 1}})
		got := map[string]int{}
		for range 20 {
			_, r := dial(t, b)
			name, err := r.ReadString(' ')
			if err != nil {
				t.Fatal(err)
			}
			got[name]++
		}
		if d := got["a1 "] - got["a2 "]; d*d > 1 || got["a1 "]+got["a2 "] < 14 || got["b1 "] < 4 {
			t.Errorf("protocol %d: got %v", p, got)
		}
		if s := b.Stats(); s["a"].Active+s["b"].Active != 20 {
			t.Errorf("protocol %d: got %v", p, s)
		}
	}
}

func TestConnectionWithoutAnAnswerIsAnError(t *testing.T) {
	for _, p := range []traffic.Protocol{traffic.TCP, traffic.Auto} {
		b := listen(t, traffic.Options{Protocol: p}, serveConn(t, "a", func(_ net.Conn, r *bufio.Reader) { r.ReadByte() }))
		c, r := dial(t, b)
		io.WriteString(c, "\x00")
		if got, err := r.ReadByte(); err == nil {
			t.Errorf("got %q", got)
		}
		c.Close()
		want := traffic.Stats{Requests: 1, Errors: 1}
		eventually(t, "counted", func() bool { return b.Stats()["a"] == want })
	}
}

// TestConnectionsAreBounded checks that clients beyond the limit wait until
// others have ended.
func TestConnectionsAreBounded(t *testing.T) {
	b := listen(t, traffic.Options{Protocol: traffic.TCP, Connections: 1}, echoing(t, "a"))
	first, r := dial(t, b)
	r.ReadString(' ')
	second, r := dial(t, b)
	second.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := r.ReadString(' '); !isTimeout(err) {
		t.Fatalf("second client: got %v", err)
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(soon))
	if got, err := r.ReadString(' '); got != "a " {
		t.Errorf("got %q, %v", got, err)
	}
}
