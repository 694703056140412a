package traffic_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
	"github.com/adamant-sh/adamant/test/certificate"
)

// cert makes a self-signed certificate for names, which is shown for hosts.
func cert(t *testing.T, names []string, hosts ...string) traffic.Certificate {
	t.Helper()
	p := certificate.Make(t, names...)
	return traffic.Certificate{Hosts: hosts, Chain: p.Chain, Key: p.Key}
}

// trusting is a client's configuration for a host whose certificate is one of list.
func trusting(host string, list ...traffic.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AppendCertsFromPEM(c.Chain)
	}
	return &tls.Config{ServerName: host, RootCAs: pool}
}

// dialTLS is dial with TLS. It returns the error of the handshake.
func dialTLS(t *testing.T, b *traffic.Balancer, config *tls.Config) (*tls.Conn, *bufio.Reader, error) {
	t.Helper()
	raw, _ := dial(t, b)
	c := tls.Client(raw, config)
	return c, bufio.NewReader(c), c.Handshake()
}

// secureDial is mustDialTLS to the listener with rules.
func secureDial(t *testing.T, f *front, config *tls.Config) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	raw, _ := f.dial()
	c := tls.Client(raw, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// mustDialTLS is dialTLS without an error.
func mustDialTLS(t *testing.T, b *traffic.Balancer, config *tls.Config) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	c, r, err := dialTLS(t, b, config)
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

func TestTLS(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 64<<10)
	backend := serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/large":
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			io.WriteString(w, large)
		case "/stream":
			for i := range 3 {
				fmt.Fprintf(w, "part %d\n", i)
				w.(http.Flusher).Flush()
			}
		default:
			fmt.Fprintf(w, "%s %s %d", r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Forwarded"), len(body))
		}
	})
	c := cert(t, []string{"example.com"})
	for protocol, name := range map[traffic.Protocol]string{traffic.HTTP: "http", traffic.Auto: "auto"} {
		t.Run(name, func(t *testing.T) {
			b := listen(t, traffic.Options{
				Protocol: protocol, Forwarding: traffic.ForwardReplace,
				TLS: &traffic.TLS{Certificates: []traffic.Certificate{c}, Protocols: []string{"http/1.1"}},
			}, backend)
			config := trusting("example.com", c)
			config.NextProtos = []string{"h2", "http/1.1"}
			conn, r := mustDialTLS(t, b, config)
			if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("negotiated %q", got)
			}
			for _, tt := range []struct{ request, want string }{
				{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "https for=127.0.0.1;proto=https 0"},
				{"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", large},
				{"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "part 0\npart 1\npart 2\n"},
				{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + large, "https for=127.0.0.1;proto=https 1048576"},
			} {
				go io.WriteString(conn, tt.request)
				if _, got := answer(t, r, "GET"); got != tt.want {
					t.Errorf("%.40q: got %.80q (%d bytes)", tt.request, got, len(got))
				}
			}
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			answer(t, r, "GET")
			if _, err := r.ReadByte(); err != io.EOF { // with close_notify
				t.Errorf("the end is %v", err)
			}
		})
	}
}

// TestTLSTruncated cuts a response whose end is that of the connection: the client must
// see that it is incomplete, and otherwise that it is complete.
func TestTLSTruncated(t *testing.T) {
	c := cert(t, []string{"example.com"})
	for answer, want := range map[string]error{
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall":      io.EOF,
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na part": nil,
	} {
		b := listen(t, traffic.Options{Protocol: traffic.HTTP, TLS: &traffic.TLS{Certificates: []traffic.Certificate{c}}}, saying(t, "a", answer))
		conn, r := mustDialTLS(t, b, trusting("example.com", c))
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		var err error
		for err == nil {
			_, err = r.ReadByte()
		}
		if (err == io.EOF) != (want == io.EOF) {
			t.Errorf("%q ends with %v", answer, err)
		}
	}
}

// TestTLSTunnel passes bytes in both directions until each side has ended, with a client
// and with a server that speaks first, and after an upgrade.
func TestTLSTunnel(t *testing.T) {
	c := cert(t, []string{"example.com"})
	secured := &traffic.TLS{Certificates: []traffic.Certificate{c}}
	echo := serveConn(t, "echo", func(c net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		c.Write(all)
	})
	greeting := serveConn(t, "greeting", func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, "220 ready\r\n")
		all, _ := io.ReadAll(r)
		c.Write(all)
	})
	upgrade := serveConn(t, "upgrade", func(c net.Conn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
		all, _ := io.ReadAll(r)
		c.Write(all)
	})
	const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
	sent := strings.Repeat("EHLO\r\n", 50_000)
	for _, tt := range []struct {
		name         string
		protocol     traffic.Protocol
		backend      traffic.Backend
		before, want string
	}{
		{"tcp", traffic.TCP, echo, "", ""},
		{"auto", traffic.Auto, echo, "", ""},
		{"server first", traffic.Auto, greeting, "", "220 ready\r\n"},
		{"upgrade", traffic.HTTP, upgrade, head, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Protocol: tt.protocol, TLS: secured}, tt.backend)
			conn, r := mustDialTLS(t, b, trusting("example.com", c))
			io.WriteString(conn, tt.before)
			first := make([]byte, len(tt.want))
			if _, err := io.ReadFull(r, first); err != nil || string(first) != tt.want {
				t.Fatalf("got %q, %v", first, err)
			}
			io.WriteString(conn, sent)
			conn.CloseWrite()
			if got, err := io.ReadAll(r); err != nil || string(got) != sent {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestTLSCorrupt sends bytes that are no TLS in the middle of a tunnel: the backend
// must not take the end of the good ones for the end of the client.
func TestTLSCorrupt(t *testing.T) {
	c := cert(t, []string{"example.com"})
	end := make(chan error, 1)
	b := listen(t, traffic.Options{Protocol: traffic.TCP, TLS: &traffic.TLS{Certificates: []traffic.Certificate{c}}},
		serveConn(t, "a", func(c net.Conn, r *bufio.Reader) {
			io.WriteString(c, "hello")
			_, err := io.Copy(io.Discard, r)
			end <- err
		}))
	raw, _ := dial(t, b)
	conn := tls.Client(raw, trusting("example.com", c))
	io.WriteString(conn, "good")
	io.ReadFull(conn, make([]byte, 5))
	raw.Write([]byte("\x17\x03\x03\x00\x04bad!"))
	<-end // the backend is not left alone with half a connection
}

// TestTLSNames shows each client the certificate of the host that it asks for.
func TestTLSNames(t *testing.T) {
	exact := cert(t, []string{"www.example.com"}, "WWW.example.com")
	wild := cert(t, []string{"*.example.com"}, "*.example.com")
	other := cert(t, []string{"other.example.org"})
	b := listen(t, traffic.Options{}, named(t, "a"))
	for _, tt := range []struct {
		name  string
		list  []traffic.Certificate
		host  string
		want  traffic.Certificate
		alert string
	}{
		{"exact before wildcard", []traffic.Certificate{wild, exact}, "www.example.com", exact, ""},
		{"wildcard", []traffic.Certificate{exact, wild}, "a.example.com", wild, ""},
		{"two labels", []traffic.Certificate{exact, wild}, "a.b.example.com", wild, "unrecognized name"},
		{"the domain itself", []traffic.Certificate{wild}, "example.com", wild, "unrecognized name"},
		{"no certificate", []traffic.Certificate{exact}, "other.example.org", exact, "unrecognized name"},
		{"no name", []traffic.Certificate{exact}, "127.0.0.1", exact, "unrecognized name"},
		{"default", []traffic.Certificate{exact, other}, "other.example.org", other, ""},
		{"first of two", []traffic.Certificate{exact, {Hosts: exact.Hosts, Chain: wild.Chain, Key: wild.Key}}, "www.example.com", exact, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := b.SetTLS(&traffic.TLS{Certificates: tt.list}); err != nil {
				t.Fatal(err)
			}
			conn, _, err := dialTLS(t, b, trusting(tt.host, tt.want))
			if tt.alert != "" {
				if err == nil || !strings.Contains(err.Error(), tt.alert) {
					t.Errorf("got %v, want %s", err, tt.alert)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(tt.want.Chain)
			if !bytes.Equal(conn.ConnectionState().PeerCertificates[0].Raw, block.Bytes) {
				t.Error("another certificate")
			}
		})
	}
}

// TestTLSRefusals tries clients that are too old, or that know no protocol in common.
func TestTLSRefusals(t *testing.T) {
	c := cert(t, []string{"example.com"})
	b := listen(t, traffic.Options{TLS: &traffic.TLS{Certificates: []traffic.Certificate{c}, Protocols: []string{"http/1.1"}}}, named(t, "a"))
	old, h2 := trusting("example.com", c), trusting("example.com", c)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	h2.NextProtos = []string{"h2"}
	for want, config := range map[string]*tls.Config{"protocol version": old, "no application protocol": h2} {
		if _, _, err := dialTLS(t, b, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	plain, r := dial(t, b)
	io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := r.ReadString('\n'); err == nil {
		t.Errorf("plain text got %q", line)
	}
}

// TestTLSChanges replaces the certificate: new clients get it, also those that could
// resume a session, and open connections go on.
func TestTLSChanges(t *testing.T) {
	first, second := cert(t, []string{"example.com"}), cert(t, []string{"example.com"})
	b := listen(t, traffic.Options{TLS: &traffic.TLS{Certificates: []traffic.Certificate{first}}}, named(t, "a"))
	config := trusting("example.com", first, second)
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	serial := func(c *tls.Conn) string {
		return fmt.Sprintf("%x", c.ConnectionState().PeerCertificates[0].Signature)
	}
	ask := func(c *tls.Conn, r *bufio.Reader) {
		t.Helper()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, got := answer(t, r, "GET"); got != "a" {
			t.Errorf("got %q", got)
		}
	}
	before, r := mustDialTLS(t, b, config)
	ask(before, r)
	if err := b.SetTLS(&traffic.TLS{Certificates: []traffic.Certificate{first}}); err != nil {
		t.Fatal(err)
	}
	resumed, rr := mustDialTLS(t, b, config)
	ask(resumed, rr)
	if !resumed.ConnectionState().DidResume {
		t.Error("without a change the session is not resumed")
	}
	if err := b.SetTLS(&traffic.TLS{Certificates: []traffic.Certificate{second}}); err != nil {
		t.Fatal(err)
	}
	after, ra := mustDialTLS(t, b, config)
	ask(after, ra)
	if after.ConnectionState().DidResume || serial(after) == serial(before) {
		t.Error("the certificate is the first one")
	}
	ask(before, r)
	if err := b.SetTLS(&traffic.TLS{Certificates: []traffic.Certificate{{Chain: first.Chain, Key: second.Key}}}); err == nil {
		t.Error("a key of another certificate is accepted")
	}
	again, rg := mustDialTLS(t, b, config)
	ask(again, rg)
}

func TestParseCertificate(t *testing.T) {
	a, b := cert(t, []string{"a"}), cert(t, []string{"b"})
	for name, tt := range map[string]struct{ chain, key []byte }{
		"another key":     {a.Chain, b.Key},
		"no certificate":  {nil, a.Key},
		"no key":          {a.Chain, nil},
		"swapped":         {a.Key, a.Chain},
		"not PEM":         {[]byte("hello"), []byte("s3cret")},
		"damaged":         {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), a.Key},
		"damaged key":     {a.Chain, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		"nothing at all":  {[]byte{}, []byte{}},
		"key of no block": {a.Chain, []byte("-----BEGIN s3cret PRIVATE KEY-----\n")},
	} {
		_, _, err := traffic.ParseCertificate(tt.chain, tt.key)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, leaf, err := traffic.ParseCertificate(a.Chain, a.Key); err != nil || cmp.Diff(leaf.DNSNames, []string{"a"}) != "" {
		t.Errorf("%v, %v", leaf, err)
	}
	if _, err := traffic.Listen(t.Context(), traffic.Options{Address: "127.0.0.1:0", TLS: &traffic.TLS{Certificates: []traffic.Certificate{{}}}}); err == nil {
		t.Error("listening without a certificate")
	}
}

// TestCloseDuringHandshake closes a Balancer with a client that does not begin TLS.
func TestCloseDuringHandshake(t *testing.T) {
	c := cert(t, []string{"example.com"})
	b := listen(t, traffic.Options{TLS: &traffic.TLS{Certificates: []traffic.Certificate{c}}}, named(t, "a"))
	conn, r := dial(t, b)
	io.WriteString(conn, "\x16\x03\x01\x02\x00\x01")
	other, _ := mustDialTLS(t, b, trusting("example.com", c)) // the first one does not hold it up
	b.Close()
	if _, err := r.ReadByte(); err == nil || errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := other.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
}
