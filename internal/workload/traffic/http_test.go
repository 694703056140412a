package traffic_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestResponsesPassByteForByte checks that the client gets the bytes of the
// backend, with every framing.
func TestResponsesPassByteForByte(t *testing.T) {
	for _, tt := range []struct{ name, method, answer, rest string }{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello"},
		{"no reason, empty field", "GET", "HTTP/1.1 299\r\nx-ODD:\r\ncontent-length: \t0 \r\n\r\n", ""},
		{"chunks and trailer", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n", "5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"HEAD with a length", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ""},
		{"HEAD with chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""},
		{"error", "GET", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := tt.answer + tt.rest
			for _, cut := range []int{len(whole), 1, len(tt.answer)} { // as one segment, or in two
				b := listen(t, traffic.Options{Protocol: traffic.HTTP}, twice(t, whole, cut))
				c, r := dial(t, b)
				for range 2 {
					fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", tt.method)
					got := make([]byte, len(whole))
					if _, err := io.ReadFull(r, got); err != nil || string(got) != whole {
						t.Fatalf("cut at %d: got %q, %v", cut, got, err)
					}
				}
			}
		})
	}
}

// twice answers each request of a connection in two writes.
func twice(t *testing.T, answer string, cut int) traffic.Backend {
	return serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
		for readHead(r) == nil {
			io.WriteString(c, answer[:cut])
			io.WriteString(c, answer[cut:])
		}
	})
}

// TestConnectionHeaderIsTrue checks that the Connection header which the client
// gets matches the fate of its connection.
func TestConnectionHeaderIsTrue(t *testing.T) {
	const length = "Content-Length: 2\r\n\r\nok"
	for _, tt := range []struct{ name, request, answer, want string }{
		{"both stay", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n" + length, "HTTP/1.1 200 OK\r\n" + length},
		{"the backend goes, the client stays", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n" + length, "HTTP/1.1 200 OK\r\nA: b\r\n" + length},
		{"the client goes", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\n" + length, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"},
		{"both go", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length, "HTTP/1.1 200 OK\r\nConnection: close\r\n" + length},
		{"the end is the end of the body", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 200 OK\r\n\r\nok", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"},
		{"an old client", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n" + length, "HTTP/1.1 200 OK\r\n" + length},
		{"an old client that stays", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n" + length, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n" + length},
		{"an old backend", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 200 OK\r\n" + length, "HTTP/1.0 200 OK\r\n" + length},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Protocol: traffic.HTTP}, saying(t, "a", tt.answer))
			c, r := dial(t, b)
			io.WriteString(c, tt.request)
			got := make([]byte, len(tt.want))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != tt.want {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			stays := strings.HasPrefix(tt.want, "HTTP/1.1") && !strings.Contains(tt.want, "close") &&
				(strings.Contains(tt.request, "HTTP/1.1") || strings.Contains(tt.want, "keep-alive"))
			io.WriteString(c, tt.request)
			if _, err := r.Peek(1); (err == nil) != stays {
				t.Errorf("next request: %v; want an answer: %v", err, stays)
			}
		})
	}
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.URL.Path, string(body))
	}
	b := listen(t, traffic.Options{}, serveHTTP(t, "a", echo), serveHTTP(t, "b", echo))
	c, r := dial(t, b)
	var all strings.Builder
	for n := range 50 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", 2*n)
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n2\r\n%02d\r\n0\r\n\r\n", 2*n+1, n)
	}
	go io.WriteString(c, all.String())
	for n := range 50 {
		for want := range strings.SplitSeq(fmt.Sprintf("/%d,/%d %02d", 2*n, 2*n+1, n), ",") {
			if _, got := answer(t, r, "GET"); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}

// TestBodies sends bodies in both framings and both directions, small ones and
// ones that are large enough for splice.
func TestBodies(t *testing.T) {
	b := listen(t, traffic.Options{}, serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		w.Write(body[len(body)/2:])
	}))
	client := keepAlive(t)
	for _, size := range []int{1, 4095, 4096, 40_000, 3 << 20} {
		sent := bytes.Repeat([]byte("0123456789abcdef~"), size/17+1)[:size]
		for _, path := range []string{"/length", "/chunks"} {
			for _, known := range []bool{true, false} {
				var body io.Reader = bytes.NewReader(sent)
				if !known {
					body = io.MultiReader(body) // of which net/http does not see the length
				}
				resp, err := client.Post("http://"+b.Addr().String()+path, "", body)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d bytes, %s, length known %v: got %d, %v", size, path, known, len(got), err)
				}
			}
		}
	}
}

func TestContinue(t *testing.T) {
	const head = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
	b := listen(t, traffic.Options{Protocol: traffic.HTTP}, serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body))
	}))
	c, r := dial(t, b)
	for range 2 {
		fmt.Fprintf(c, head, "/")
		if line, err := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		readHead(r)
		io.WriteString(c, "body")
		if _, body := answer(t, r, "POST"); body != "body" {
			t.Errorf("got %q", body)
		}
	}
	fmt.Fprintf(c, head, "/refused")
	if resp, _ := answer(t, r, "POST"); resp.StatusCode != http.StatusExpectationFailed || !resp.Close {
		t.Errorf("refused: got %d, closes %v", resp.StatusCode, resp.Close)
	}
}

// TestEarlyResponse uses backends that answer before they have the request's
// body. The client must get the response whether or not the backend reads the
// rest.
func TestEarlyResponse(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
	reads := serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
		for readHead(r) == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			io.CopyN(io.Discard, r, 1_000_000)
		}
	})
	b := listen(t, traffic.Options{Protocol: traffic.HTTP}, reads)
	c, r := dial(t, b)
	for range 2 {
		io.WriteString(c, request)
		if _, body := answer(t, r, "POST"); body != "ok" {
			t.Fatalf("got %q", body)
		}
		io.WriteString(c, strings.Repeat("x", 1_000_000))
	}
	b.Set(traffic.Route{Backends: []traffic.Backend{saying(t, "closes", "HTTP/1.1 413 Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")}})
	io.WriteString(c, strings.Replace(request, "1000000", "1000000000", 1))
	go func() { // more than fits the buffers on the way
		for _, err := c.Write(make([]byte, 1<<20)); err == nil; _, err = c.Write(make([]byte, 1<<20)) {
		}
	}()
	if resp, body := answer(t, r, "POST"); body != "no" || resp.StatusCode != 413 || !resp.Close {
		t.Errorf("got %d %q, closes %v", resp.StatusCode, body, resp.Close)
	}
}

func TestInterimResponses(t *testing.T) {
	b := listen(t, traffic.Options{Protocol: traffic.HTTP},
		saying(t, "a", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for minor, want := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n"} {
		c, r := dial(t, b)
		fmt.Fprintf(c, "GET / HTTP/1.%d\r\nHost: x\r\n\r\n", minor)
		if line, err := r.ReadString('\n'); line != want {
			t.Errorf("HTTP/1.%d: got %q, %v", minor, line, err)
		}
	}
}

func TestTunnels(t *testing.T) {
	for _, tt := range []struct{ name, request, answer string }{
		{"upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"},
		{"CONNECT", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{}, serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
				readHead(r)
				io.WriteString(c, tt.answer+"hello ")
				io.Copy(c, r)
			}))
			c, r := dial(t, b)
			io.WriteString(c, tt.request+"early ")
			want := tt.answer + "hello early late"
			got := make([]byte, len(want)-4)
			io.ReadFull(r, got)
			b.Set(traffic.Route{}) // which ends no tunnel
			io.WriteString(c, "late")
			c.CloseWrite()
			rest, err := io.ReadAll(r)
			if all := string(got) + string(rest); err != nil || all != want {
				t.Errorf("got %q, %v", all, err)
			}
			drain(t, b, "a")
		})
	}
}

// TestBackendClosesIdleConnections checks that a request does not fail because
// the backend closed an idle connection.
func TestBackendClosesIdleConnections(t *testing.T) {
	b := listen(t, traffic.Options{Protocol: traffic.HTTP}, saying(t, "a", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	client := keepAlive(t)
	for range 50 {
		if code, body := get(client, b, "/"); body != "ok" {
			t.Fatalf("got %d %s", code, body)
		}
	}
	eventually(t, "50 requests, no error", func() bool { return b.Stats()["a"] == traffic.Stats{Requests: 50} })
}

// TestRetry uses a backend that receives a request on a reused connection and
// closes the connection. It may not have processed the request: a GET is sent
// again, a POST is not.
func TestRetry(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 200, "POST": 502, "DELETE": 502} {
		b := listen(t, traffic.Options{Protocol: traffic.HTTP}, serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
			readHead(r)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			readHead(r) // and no answer
		}))
		c, r := dial(t, b)
		for _, want := range []int{200, want} {
			fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", method)
			if resp, _ := answer(t, r, method); resp.StatusCode != want {
				t.Errorf("%s: got %d, want %d", method, resp.StatusCode, want)
			}
		}
	}
}

// TestCrash uses backends that close the connection when they have the request. One
// that is safe to repeat is answered by another backend, if there is one, and no
// request ends more than two of them.
func TestCrash(t *testing.T) {
	const answers, crashes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""
	for _, tt := range []struct {
		name, method string
		backends     []string // the answer of each
		want         int
		requests     int // that backends got
	}{
		{"another answers", "GET", []string{crashes, answers}, 200, 2},
		{"HEAD", "HEAD", []string{crashes, answers}, 200, 2},
		{"not safe to repeat", "POST", []string{crashes, answers}, 502, 1},
		{"there is no other", "GET", []string{crashes}, 502, 1},
		{"it ends all that get it", "GET", []string{crashes, crashes, crashes, crashes}, 502, 2},
		{"half an answer", "GET", []string{"HTTP/1.1 200", answers}, 502, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Protocol: traffic.HTTP})
			var r traffic.Route
			for n, text := range tt.backends {
				r.Backends = append(r.Backends, saying(t, fmt.Sprint(n), text))
			}
			b.Set(r)
			c, in := dial(t, b)
			fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", tt.method)
			if resp, _ := answer(t, in, tt.method); resp.StatusCode != tt.want {
				t.Errorf("got %d, want %d", resp.StatusCode, tt.want)
			}
			requests, failures := 0, 0
			for _, s := range b.Stats() {
				requests, failures = requests+int(s.Requests), failures+int(s.Errors)
			}
			want := tt.requests
			if tt.want == 200 {
				want--
			}
			if requests != tt.requests || failures != want {
				t.Errorf("counted %d requests, %d errors; want %d, %d", requests, failures, tt.requests, want)
			}
		})
	}
}

// TestEmptyLinesBetweenRequests checks that empty lines are ignored and not passed
// on: the backend would take them for a part of the next request.
func TestEmptyLinesBetweenRequests(t *testing.T) {
	got := make(chan string, 2)
	b := listen(t, traffic.Options{Protocol: traffic.HTTP}, serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
		for {
			line, err := r.ReadString('\n')
			if err != nil || readHead(r) != nil {
				return
			}
			got <- line
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	c, r := dial(t, b)
	for _, before := range []string{"\r\n", "\r\n\r\n\r\n"} {
		io.WriteString(c, before+"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, _ := answer(t, r, "GET"); resp.StatusCode != 200 {
			t.Errorf("got %d", resp.StatusCode)
		}
		if line := <-got; line != "GET / HTTP/1.1\r\n" {
			t.Errorf("the backend got %q", line)
		}
	}
}

func TestMalformedResponses(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, answer := range map[string]string{
		"none":                   "",
		"half a head":            ok + "A: b\r\n",
		"another version":        "HTTP/2.0 200 OK\r\n\r\n",
		"no status":              "HTTP/1.1 OK\r\n\r\n",
		"length and chunks":      ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":            ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"bare LF":                ok + "A: b\n\r\n",
		"no colon":               ok + "A\r\n\r\n",
		"malformed chunk":        ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n",
		"too large":              ok + "A: " + strings.Repeat("x", 65<<10) + "\r\n\r\n",
		"a switch nobody wanted": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		b := listen(t, traffic.Options{Protocol: traffic.HTTP}, saying(t, "a", answer))
		if code, body := get(keepAlive(t), b, "/"); code != http.StatusBadGateway {
			t.Errorf("%s: got %d %s", name, code, body)
		}
		if s := b.Stats()["a"]; s.Errors != 1 {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

// TestBrokenResponses checks that a client can distinguish half a response from
// a complete one.
func TestBrokenResponses(t *testing.T) {
	for name, answer := range map[string]string{
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"large":        "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\nhalf",
		"chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"wrong chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n" + strings.Repeat("0", 1000),
	} {
		b := listen(t, traffic.Options{Protocol: traffic.HTTP}, saying(t, "a", answer))
		if code, body := get(keepAlive(t), b, "/"); code == http.StatusOK {
			t.Errorf("%s: got %d %q", name, code, body)
		}
		eventually(t, name+" counted", func() bool { return b.Stats()["a"] == traffic.Stats{Requests: 1, Errors: 1} })
	}
}
