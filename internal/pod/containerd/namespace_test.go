package containerd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// enterNetwork moves the goroutine of a test to a network namespace of its own, which is
// removed when the test ends. Commands and sockets of this goroutine are created there.
func enterNetwork(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests need root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	command(t, "ip", "link", "set", "lo", "up")
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// Where the firewall drops input, pods reach what listens on the very address of a
// Service, but at no address of the range what listens on all addresses. The earlier
// rule, which accepted both, is removed.
func TestFirewallServices(t *testing.T) {
	enterNetwork(t)
	n := Network{Bridge: "adm-test", Subnet: netip.MustParsePrefix("198.51.100.0/24"), Services: netip.MustParsePrefix("203.0.113.0/24")}
	iptables := lookPath("iptables")
	command(t, iptables, "-P", "INPUT", "DROP")
	// Replies to this machine, which is the pod as well.
	command(t, iptables, "-A", "INPUT", "-s", n.Services.String(), "-j", "ACCEPT")
	command(t, iptables, "-A", "INPUT", "-s", n.Subnet.String(), "-d", n.Services.String(), "-j", "ACCEPT",
		"-m", "comment", "--comment", fmt.Sprintf("name: %q pods: %s services %s", n.Bridge, n.Subnet, n.Services))
	for _, p := range []netip.Prefix{n.Subnet, n.Services} {
		if err := addLocalRoute(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := openFirewall(t.Context(), iptables, n); err != nil {
		t.Fatal(err)
	}
	// The packets of a real pod come through the bridge and are not masqueraded before INPUT.
	command(t, iptables, "-t", "nat", "-F")
	for _, c := range []struct {
		network, bind string
		reached       bool
	}{
		{"tcp4", "203.0.113.5:0", true},
		{"tcp4", "0.0.0.0:0", false},
		{"tcp", "[::]:0", false},
		{"udp4", "203.0.113.5:0", true},
		{"udp4", "0.0.0.0:0", false},
		{"udp", "[::]:0", false},
	} {
		// Not a subtest, whose goroutine would be outside of the namespace.
		if got := reaches(t, c.network, c.bind); got != c.reached {
			t.Errorf("%s %s: got reached %v, want %v", c.network, c.bind, got, c.reached)
		}
	}
	lines, err := listRules(t.Context(), iptables, "filter")
	if n := strings.Count(strings.Join(lines, "\n"), "-d "+n.Services.String()); err != nil || n != 1 {
		t.Errorf("got %d rules for Services, %v, want the one: %q", n, err, lines)
	}
}

// reaches reports whether a pod at 198.51.100.2 reaches a listener at 203.0.113.5.
func reaches(t *testing.T, network, bind string) bool {
	t.Helper()
	const wait = 300 * time.Millisecond
	server, pod := netip.MustParseAddr("203.0.113.5"), net.IPv4(198, 51, 100, 2)
	if strings.HasPrefix(network, "udp") {
		l, err := net.ListenPacket(network, bind)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: pod}}
		port := l.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		c, err := d.Dial("udp4", netip.AddrPortFrom(server, port).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// An error is ignored: a dropped packet may be reported as one.
		c.Write([]byte("question"))
		l.SetReadDeadline(time.Now().Add(wait))
		_, _, err = l.ReadFrom(make([]byte, 16))
		return err == nil
	}
	l, err := net.Listen(network, bind)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: pod}, Timeout: wait}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	c, err := d.Dial("tcp4", netip.AddrPortFrom(server, port).String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Without the kernel's match for sockets the rule for Services is missing, and only
// that one.
func TestFirewallServicesMissing(t *testing.T) {
	enterNetwork(t)
	n := Network{Bridge: "adm-test", Subnet: netip.MustParsePrefix("198.51.100.0/24"), Services: netip.MustParsePrefix("203.0.113.0/24")}
	iptables := filepath.Join(t.TempDir(), "iptables")
	script := "#!/bin/sh\ncase \"$*\" in *'-m socket'*) echo no such match >&2; exit 1;; esac\nexec " + lookPath("iptables") + " \"$@\"\n"
	if err := os.WriteFile(iptables, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := openFirewall(t.Context(), iptables, n); !errors.Is(err, errServices) || !strings.Contains(err.Error(), "no such match") {
		t.Errorf("got %v, want the reason that pods reach no Services", err)
	}
	for table, want := range map[string]int{"nat": 2, "filter": 2} {
		lines, err := listRules(t.Context(), iptables, table)
		if n := strings.Count(strings.Join(lines, "\n"), n.Bridge); err != nil || n != want {
			t.Errorf("table %s: got %d rules, %v, want %d: %q", table, n, err, want, lines)
		}
	}
}

// Two roots whose choice begins at the same subnet get different ones, although neither
// has a bridge yet.
func TestChooseRanges(t *testing.T) {
	enterNetwork(t)
	dir := t.TempDir()
	layouts := []layout{{root: filepath.Join(dir, "first")}}
	for i := 0; len(layouts) < 2; i++ {
		if l := (layout{root: filepath.Join(dir, fmt.Sprint(i))}); firstCandidate(l) == firstCandidate(layouts[0]) {
			layouts = append(layouts, l)
		}
	}
	var roots [2]instance
	for _, l := range layouts {
		if err := os.Mkdir(l.root, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	choose := func(i int, bridgeUp bool, used ...netip.Prefix) instance {
		t.Helper()
		if err := roots[i].chooseRanges(layouts[i], used, bridgeUp); err != nil {
			t.Fatal(err)
		}
		saved, err := loadInstance(layouts[i].instance())
		if err != nil || saved.Subnet != roots[i].Subnet || saved.Services != roots[i].Services {
			t.Errorf("root %d: got %v in the record, %v, want %v", i, saved, err, roots[i])
		}
		return roots[i]
	}
	first, second := choose(0, false), choose(1, false)
	if first.Subnet == second.Subnet || first.Services.Overlaps(second.Services) {
		t.Errorf("got %v and %v, want different ranges", first, second)
	}
	// The next start.
	if again := choose(0, false); again != first {
		t.Errorf("got %v, want %v again", again, first)
	}
	if third := choose(1, false, second.Subnet); third.Subnet == first.Subnet || third.Subnet == second.Subnet || third.Services.Overlaps(first.Services) {
		t.Errorf("got %v, want others than %v and %v", third, first, second)
	}
	// The subnet of an existing bridge is chosen again although the record is lost.
	roots[0] = instance{}
	if again := choose(0, true); again != first {
		t.Errorf("got %v, want %v again", again, first)
	}
	// Routes of deleted roots do not keep a root from its start.
	for _, subnet := range candidates(0) {
		services, err := chooseServices(subnet, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := addLocalRoute(services); err != nil {
			t.Fatal(err)
		}
	}
	roots[0] = instance{}
	if again := choose(0, false); again != first {
		t.Errorf("got %v, want %v again", again, first)
	}
}
