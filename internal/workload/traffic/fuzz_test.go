package traffic

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
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
		edited := writeForwarded(p[:size], ForwardReplace, net.IPv6loopback)
		again, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(edited)))
		if err != nil {
			t.Fatalf("edited to %q: %v", edited, err)
		}
		if got := again.Header["Forwarded"]; !slices.Equal(got, []string{`for="[::1]";proto=http`}) {
			t.Errorf("forwarded %q in %q", got, edited)
		}
	})
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
