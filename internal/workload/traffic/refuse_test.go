package traffic_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestAmbiguousRequestsAreRefused checks that a request which two parsers could
// frame differently does not reach a backend.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	const chunked = "Transfer-Encoding: chunked\r\n"
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"length and chunks", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + chunked + "\r\n0\r\n\r\n", 400},
		{"chunks and length", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "Content-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
		{"the same length twice", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
		{"list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx", 400},
		{"signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", 400},
		{"negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nx", 400},
		{"hexadecimal length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\nx", 400},
		{"empty length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nx", 400},
		{"length beyond int64", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx", 400},
		{"other coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
		{"coding list", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding twice", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + chunked + "\r\n0\r\n\r\n", 400},
		{"quoted coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
		{"coding after another space", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\n" + chunked + "\r\n0\r\n\r\n", 400},
		{"CONNECT with a body", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 400},
		{"folded line", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
		{"folded coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\nx", 400},
		{"tab before the colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length\t: 1\r\n\r\nx", 400},
		{"first line indented", "GET / HTTP/1.1\r\nHost: x\r\n Content-Length: 1\r\n\r\nx", 400},
		{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400},
		{"no name", "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
		{"name that is no token", "GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n", 400},
		{"bare LF", "GET / HTTP/1.1\nA: b\n\n", 400},
		{"bare LF after a field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", 400},
		{"bare CR", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rContent-Length: 1\r\n\r\n", 400},
		{"CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n", 400},
		{"NUL", "GET / HTTP/1.1\r\nHost: x\r\nA: b\x00\r\n\r\n", 400},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"many empty lines before", strings.Repeat("\r\n", 100) + "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"bare LF before", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		{"the same host twice", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nhost: x\r\n\r\n", 400},
		{"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400},
		{"list of hosts", "GET / HTTP/1.1\r\nHost: x, y z\r\n\r\n", 400},
		{"host with a user", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400},
		{"host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"tab for space", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"no version", "GET /\r\n\r\n", 400},
		{"other version", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 400},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"method that is no token", "G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"chunk size empty", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n\r\n", 400},
		{"chunk size signed", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n+1\r\nx\r\n0\r\n\r\n", 400},
		{"chunk size with 0x", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n0x1\r\nx\r\n0\r\n\r\n", 400},
		{"chunk size after a space", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n 1\r\nx\r\n0\r\n\r\n", 400},
		{"chunk size before a space", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n1 \r\nx\r\n0\r\n\r\n", 400},
		{"chunk size too long", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n0000000000000000000001\r\nx\r\n0\r\n\r\n", 400},
		{"chunk size ended by LF", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n1\nx\r\n0\r\n\r\n", 400},
		{"LF in a chunk extension", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n1;a\nx\r\n0\r\n\r\n", 400},
		{"chunk longer than its size", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n1\r\nxx\r\n0\r\n\r\n", 400},
		{"trailer without a colon", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n0\r\nA\r\n\r\n", 400},
		{"trailer ended by LF", "POST / HTTP/1.1\r\nHost: x\r\n" + chunked + "\r\n0\r\n\n", 400},
		{"large head", "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 65<<10) + "\r\n\r\n", 431},
		{"large target", "GET /" + strings.Repeat("x", 65<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Protocol: traffic.HTTP}, named(t, "a"))
			c, r := dial(t, b)
			io.WriteString(c, tt.request)
			resp, _ := answer(t, r, "POST")
			if resp.StatusCode != tt.want || !resp.Close {
				t.Errorf("got %d, closes %v", resp.StatusCode, resp.Close)
			}
			if more, err := io.ReadAll(r); len(more) > 0 || err != nil {
				t.Errorf("after the refusal: %q, %v", more, err)
			}
			if got := b.Stats()["a"].Requests; got > 0 {
				t.Error("the backend got it")
			}
		})
	}
}

// TestMalformedChunkLaterOn sends a body that becomes malformed after its
// beginning was passed on: the backend must get half a request on a connection
// that is closed.
func TestMalformedChunkLaterOn(t *testing.T) {
	read := make(chan error, 1)
	b := listen(t, traffic.Options{Protocol: traffic.HTTP}, serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}))
	c, r := dial(t, b)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
	eventually(t, "a request", func() bool { return b.Stats()["a"].Active == 1 })
	io.WriteString(c, "x\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
	if resp, _ := answer(t, r, "POST"); resp.StatusCode != http.StatusBadRequest || !resp.Close {
		t.Errorf("got %d", resp.StatusCode)
	}
	if err := <-read; err == nil {
		t.Error("the backend read a whole body")
	}
	if s := b.Stats()["a"]; s != (traffic.Stats{Requests: 1}) {
		t.Errorf("got %+v", s)
	}
}
