package traffic_test

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// TestOnePortOfManyAddresses checks that the listeners of a pool may have one port at
// all addresses and at single ones, in any order, and that each gets the clients of its
// own address. Another program's address is refused to it.
func TestOnePortOfManyAddresses(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.4:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, taken, _ := net.SplitHostPort(other.Addr().String())
	free, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	p := traffic.NewPool()
	defer p.Close()
	one := func(host, port string) traffic.Listener {
		return traffic.Listener{Name: host + port, Address: net.JoinHostPort(host, port), Protocol: traffic.TCP}
	}
	failed := p.Apply(t.Context(), []traffic.Listener{
		one("127.0.0.2", port), one("0.0.0.0", port), one("127.0.0.3", port),
		one("127.0.0.3", taken), one("127.0.0.4", taken), one("0.0.0.0", taken),
	})
	if len(failed) != 2 || !errors.Is(failed["127.0.0.4"+taken], syscall.EADDRINUSE) || !errors.Is(failed["0.0.0.0"+taken], syscall.EADDRINUSE) {
		t.Errorf("failed: %v", failed)
	}
	for _, l := range p.Listeners() {
		b, err := traffic.ListenBeside(t.Context(), l.Address, []string{l.Address, "127.0.0.9:" + port})
		if err == nil {
			t.Errorf("%s is given away again", l.Address)
			b.Close()
		}
	}
}

// TestClientsOfOtherNetworks checks that a client of another network is cut off.
func TestClientsOfOtherNetworks(t *testing.T) {
	b, err := traffic.Listen(t.Context(), traffic.Options{
		Address: "127.0.0.1:0", Protocol: traffic.HTTP, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for from, accepted := range map[string]bool{"127.0.0.1": false, "127.0.0.2": true} {
		c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.ParseIP(from)}, b.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // which has no Host: 400
		n, err := c.Read(make([]byte, 12))
		if (n == 12) != accepted {
			t.Errorf("from %s: %d bytes, %v", from, n, err)
		}
	}
}
