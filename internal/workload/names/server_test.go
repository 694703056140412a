package names

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var loopback = netip.MustParseAddr("127.0.0.1")

// testZone has a Service of each kind, and the tests' own address as a client.
func testZone() *Zone {
	pod := func(address, host string) Endpoint {
		return Endpoint{netip.MustParseAddr(address), host, []Port{{"sql", "tcp", 5432}}}
	}
	return &Zone{
		Address: loopback,
		Clients: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24"), netip.MustParsePrefix("127.0.0.0/8")},
		Services: []Service{
			{Namespace: "default", Name: "web", ClusterIP: netip.MustParseAddr("10.9.0.16"), Ports: []Port{{"http", "tcp", 80}, {"dns", "udp", 53}}},
			{Namespace: "default", Name: "db", Endpoints: []Endpoint{pod("10.9.0.2", "db-0"), pod("10.9.0.3", "db-1"), pod("10.9.0.4", "")}},
			{Namespace: "default", Name: "empty"},
			{Namespace: "other", Name: "alias", External: "Web.default.svc.cluster.local"},
			{Namespace: "other", Name: "outside", External: "outside.test"},
		},
	}
}

// start starts a server that passes questions on to some others.
func start(t *testing.T, upstream ...string) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	check(t, os.WriteFile(path, []byte("nameserver "+strings.Join(upstream, "\nnameserver ")+"\n"), 0o600))
	if len(upstream) == 0 {
		check(t, os.WriteFile(path, nil, 0o600))
	}
	for {
		s := New(Options{resolvers: path, port: freePort(t)})
		err := s.Set(testZone())
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // another program took the port in between
		}
		check(t, err)
		t.Cleanup(func() { s.Close() })
		return s, fmt.Sprintf("127.0.0.1:%d", s.opts.port)
	}
}

// freePort returns a port that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer l.Close()
		if c, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			c.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
}

// soon is the limit for things that happen at once on an idle machine.
const soon = 30 * time.Second

// query asks a server.
func query(t *testing.T, network, server, name string, kind uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, kind)
	r, _, err := (&dns.Client{Net: network, Timeout: soon}).Exchange(m, server)
	check(t, err)
	return r
}

// content returns the records of an answer without their headers, sorted.
func content(m *dns.Msg) string {
	var list []string
	for _, r := range m.Answer {
		if r.Header().Ttl > 60 {
			list = append(list, "kept too long:")
		}
		list = append(list, strings.ReplaceAll(strings.TrimPrefix(r.String(), r.Header().String()), "\t", " "))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func TestAnswers(t *testing.T) {
	_, server := start(t)
	for _, tt := range []struct {
		name  string
		kind  uint16
		rcode int
		want  string
	}{
		{"web.default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.16"},
		{"WEB.Default.SVC.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.16"},
		{"web.default.svc.cluster.local.", dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"web.default.svc.cluster.local.", dns.TypeMX, dns.RcodeSuccess, ""},
		{"default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, ""},
		{"svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, ""},
		{"web.other.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"kubernetes.default.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"web.default.svc.cluster.local.default.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"db.default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.2, 10.9.0.3, 10.9.0.4"},
		{"db-1.db.default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.3"},
		{"10-9-0-4.db.default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.4"},
		{"db-2.db.default.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"empty.default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, ""},
		{"_http._tcp.web.default.svc.cluster.local.", dns.TypeSRV, dns.RcodeSuccess, "0 100 80 web.default.svc.cluster.local."},
		{"_dns._udp.web.default.svc.cluster.local.", dns.TypeSRV, dns.RcodeSuccess, "0 100 53 web.default.svc.cluster.local."},
		{"_http._udp.web.default.svc.cluster.local.", dns.TypeSRV, dns.RcodeNameError, ""},
		{"_tcp.web.default.svc.cluster.local.", dns.TypeSRV, dns.RcodeSuccess, ""},
		{"_sql._tcp.db.default.svc.cluster.local.", dns.TypeSRV, dns.RcodeSuccess, "0 100 5432 10-9-0-4.db.default.svc.cluster.local., 0 100 5432 db-0.db.default.svc.cluster.local., 0 100 5432 db-1.db.default.svc.cluster.local."},
		{"16.0.9.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "web.default.svc.cluster.local."},
		{"3.0.9.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "db-1.db.default.svc.cluster.local."},
		{"99.0.9.10.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, ""},
		{"alias.other.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.9.0.16, web.default.svc.cluster.local."},
		{"alias.other.svc.cluster.local.", dns.TypeCNAME, dns.RcodeSuccess, "web.default.svc.cluster.local."},
		{"dns-version.cluster.local.", dns.TypeTXT, dns.RcodeSuccess, `"1.1.0"`},
		{"web.default.svc.cluster.local.", dns.TypeANY, dns.RcodeRefused, ""},
		// No other server is known here.
		{"outside.other.svc.cluster.local.", dns.TypeA, dns.RcodeServerFailure, "outside.test."},
		{"example.com.", dns.TypeA, dns.RcodeServerFailure, ""},
		{"1.2.0.192.in-addr.arpa.", dns.TypePTR, dns.RcodeServerFailure, ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(network+" "+dns.TypeToString[tt.kind]+" "+tt.name, func(t *testing.T) {
				m := query(t, network, server, tt.name, tt.kind)
				if got := content(m); got != tt.want || m.Rcode != tt.rcode {
					t.Errorf("got %s %q, want %s %q", dns.RcodeToString[m.Rcode], got, dns.RcodeToString[tt.rcode], tt.want)
				}
				// Clients keep a negative answer for the time of its SOA.
				isNegative := tt.want == "" && (tt.rcode == dns.RcodeSuccess || tt.rcode == dns.RcodeNameError)
				if isNegative && (len(m.Ns) != 1 || m.Ns[0].(*dns.SOA).Minttl > 60) {
					t.Errorf("a negative answer with %v", m.Ns)
				}
			})
		}
	}
}

// TestLargeAnswers checks that an answer that does not fit is truncated, for the size
// that the client can take, and is complete over TCP.
func TestLargeAnswers(t *testing.T) {
	s, server := start(t)
	z := testZone()
	for i := range 200 {
		z.Services[1].Endpoints = append(z.Services[1].Endpoints, Endpoint{Address: netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 5)})})
	}
	check(t, s.Set(z))
	for _, tt := range []struct {
		network string
		size    uint16
		limit   int
		whole   bool
	}{{"udp", 0, 512, false}, {"udp", 1232, 1232, false}, {"udp", 65535, 1232, false}, {"tcp", 0, 65535, true}} {
		q := new(dns.Msg).SetQuestion("db.default.svc.cluster.local.", dns.TypeA)
		if tt.size != 0 {
			q.SetEdns0(tt.size, false)
		}
		m, _, err := (&dns.Client{Net: tt.network, UDPSize: 65535, Timeout: soon}).Exchange(q, server)
		check(t, err)
		m.Compress = true // as it was sent
		if m.Truncated == tt.whole || (len(m.Answer) == 203) != tt.whole || m.Len() > tt.limit || (m.IsEdns0() != nil) != (tt.size != 0) {
			t.Errorf("%s with %d: %d records in %d bytes, truncated: %v", tt.network, tt.size, len(m.Answer), m.Len(), m.Truncated)
		}
	}
}

// TestOtherNames checks that names that the zone does not own are looked up by the
// first server that answers, and that the file is read again when it changes.
func TestOtherNames(t *testing.T) {
	address := otherServer(t, func(m *dns.Msg) {
		m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30}, A: net.IPv4(192, 0, 2, 7)})
	})
	refused := fmt.Sprintf("127.0.0.1:%d", freePort(t)) // nothing listens there
	s, server := start(t, refused, address)
	for name, want := range map[string]string{
		"example.com.":                     "192.0.2.7",
		"outside.other.svc.cluster.local.": "192.0.2.7, outside.test.",
		"cluster.local.example.com.":       "192.0.2.7",
	} {
		if got := content(query(t, "udp", server, name, dns.TypeA)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	check(t, os.WriteFile(s.upstream.path, []byte("# no server\n"), 0o600))
	if m := query(t, "udp", server, "example.com.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a server: got %v", m)
	}
}

// otherServer is a server of the machine.
func otherServer(t *testing.T, answer func(*dns.Msg)) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	other := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		answer(m)
		w.WriteMsg(m)
	})}
	var wg sync.WaitGroup
	started := make(chan struct{})
	other.NotifyStartedFunc = func() { close(started) }
	wg.Go(func() { other.ActivateAndServe() })
	<-started
	t.Cleanup(func() {
		other.Shutdown()
		wg.Wait()
	})
	return c.LocalAddr().String()
}

// TestDeadResolvers checks that each server is asked, and that all of them together
// have only so much time.
func TestDeadResolvers(t *testing.T) {
	var silent []net.PacketConn
	var addresses []string
	for range maxServers {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		check(t, err)
		defer c.Close()
		silent, addresses = append(silent, c), append(addresses, c.LocalAddr().String())
	}
	s, _ := start(t, addresses...)
	s.upstream.limit = 1500 * time.Millisecond
	began := time.Now()
	if m, err := s.upstream.exchange(new(dns.Msg).SetQuestion("example.com.", dns.TypeA), false); err == nil {
		t.Errorf("got %v", m)
	}
	if d := time.Since(began); d > maxServers*exchangeLimit {
		t.Errorf("it took %v", d)
	}
	for i, c := range silent {
		check(t, c.SetReadDeadline(time.Now().Add(soon)))
		if _, _, err := c.ReadFrom(make([]byte, 512)); err != nil {
			t.Errorf("server %d was not asked: %v", i, err)
		}
	}
}

// TestCloseUnderWay checks that Close does not wait for a question for which other
// servers need long.
func TestCloseUnderWay(t *testing.T) {
	s, server := start(t)
	s.upstream.mu.Lock() // holds the question up
	defer s.upstream.mu.Unlock()
	c, err := net.Dial("udp", server)
	check(t, err)
	defer c.Close()
	check(t, (&dns.Conn{Conn: c}).WriteMsg(new(dns.Msg).SetQuestion("example.com.", dns.TypeA)))
	for deadline := time.Now().Add(soon); len(s.forwarded) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the question did not arrive")
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	select {
	case <-closed:
	case <-time.After(soon):
		t.Error("Close waits")
	}
}

// TestManyQuestions checks that questions beyond the limit fail at once while others
// wait for a server that does not answer.
func TestManyQuestions(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	s, server := start(t, silent.LocalAddr().String())
	for range maxForwarded {
		s.forwarded <- struct{}{}
	}
	if m := query(t, "udp", server, "example.com.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %v", m)
	}
	if got := content(query(t, "udp", server, "web.default.svc.cluster.local.", dns.TypeA)); got != "10.9.0.16" {
		t.Errorf("a name of the zone: got %q", got)
	}
}

// TestStrangers checks that others than the clients get no answer. The next question
// of a client is answered, so that the stranger's was read.
func TestStrangers(t *testing.T) {
	s, server := start(t)
	z := testZone()
	z.Clients = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	check(t, s.Set(z))
	ask := func(from string) *dns.Conn {
		t.Helper()
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server)))
		check(t, err)
		conn := &dns.Conn{Conn: c}
		t.Cleanup(func() { conn.Close() })
		check(t, conn.WriteMsg(new(dns.Msg).SetQuestion("web.default.svc.cluster.local.", dns.TypeA)))
		return conn
	}
	stranger, client := ask("127.0.0.1"), ask("127.0.0.2")
	if m, err := client.ReadMsg(); err != nil || content(m) != "10.9.0.16" {
		t.Errorf("a client: got %v, %v", m, err)
	}
	raw, err := stranger.Conn.(*net.UDPConn).SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		if n, _, err := syscall.Recvfrom(int(fd), make([]byte, 512), syscall.MSG_DONTWAIT); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("a stranger: got %d bytes, %v", n, err)
		}
	}))
}

// TestSet checks that a server moves, ends, and comes back.
func TestSet(t *testing.T) {
	s, server := start(t)
	other := New(Options{port: s.opts.port})
	defer other.Close()
	if err := other.Set(testZone()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("at a taken address: got %v", err)
	}
	z := testZone()
	z.Services = z.Services[1:]
	check(t, s.Set(z))
	if m := query(t, "udp", server, "web.default.svc.cluster.local.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("a Service that is gone: got %v", m)
	}
	check(t, s.Set(nil))
	if s.Zone() != nil {
		t.Error("a zone without a server")
	}
	check(t, other.Set(testZone()))
	if d := cmp.Diff(other.Zone(), testZone(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

// FuzzServe checks that no message of a client makes a server fail or gives it more
// than a datagram.
func FuzzServe(f *testing.F) {
	for _, name := range []string{"web.default.svc.cluster.local.", "db.default.svc.cluster.local.", "alias.other.svc.cluster.local.", "16.0.9.10.in-addr.arpa.", "."} {
		m := new(dns.Msg).SetQuestion(name, dns.TypeSRV)
		m.SetEdns0(65535, true)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	s := New(Options{resolvers: os.DevNull})
	s.table.Store(newTable(*testZone()))
	f.Fuzz(func(t *testing.T, wire []byte) {
		q := new(dns.Msg)
		if q.Unpack(wire) != nil {
			return
		}
		w := &recorder{}
		s.serve(w, q)
		if w.sent == nil {
			t.Fatal("no answer")
		}
		if out, err := w.sent.Pack(); err == nil && len(out) > maxUDP {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

// A recorder keeps the answer.
type recorder struct {
	dns.ResponseWriter
	sent *dns.Msg
}

func (r *recorder) RemoteAddr() net.Addr      { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (r *recorder) WriteMsg(m *dns.Msg) error { r.sent = m; return nil }
