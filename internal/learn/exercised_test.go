package learn

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFailedConnects(t *testing.T) {
	for _, tc := range []struct {
		name, snmp string
		want       uint64
	}{
		{"some", "Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens AttemptFails\nTcp: 200 7 0 42\nUdp: X\nUdp: 1\n", 42},
		{"no such counter", "Tcp: RtoMin\nTcp: 200\n", 0},
		{"cut off", "Tcp: RtoMin ActiveOpens PassiveOpens AttemptFails\nTcp: 200 7", 0},
		{"nothing", "", 0},
	} {
		if got := failedConnects([]byte(tc.snmp)); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestPendingConnects(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0500000A:9C40 0902000A:1538 02 00000001:00000000 01:00000064 00000000
   2: 0500000A:9C41 0902000A:1538 02 00000001:00000000 01:00000064 00000000
   3: 0500000A:9C42 0902000A:1538 01 00000000:00000000 00:00000000 00000000
   4: short
`
	const table6 = `  sl  local_address rem_address st
   0: 00000000000000000000000000000000:9C40 000000FD000000000000000009000000:1538 02
   1: 0000000000000000FFFF00000500000A:9C40 0000000000000000FFFF00000902000A:0050 02
   2: 00:9C40 0:0 02
`
	for _, tc := range []struct {
		name, table string
		want        []netip.AddrPort
	}{
		{"IPv4", table, []netip.AddrPort{netip.MustParseAddrPort("10.0.2.9:5432")}},
		{"IPv6", table6, []netip.AddrPort{netip.MustParseAddrPort("[fd00::9]:5432"), netip.MustParseAddrPort("10.0.2.9:80")}},
		{"nothing", "", nil},
	} {
		got := pendingConnects([]byte(tc.table))
		if d := cmp.Diff(got, tc.want, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
			t.Errorf("%s (-got +want):\n%s", tc.name, d)
		}
	}
}

func TestIsWaiting(t *testing.T) {
	for line, want := range map[string]bool{
		"waiting for db": true,
		"dial tcp 10.0.0.1:5432: connect: connection refused":    true,
		"psycopg2.OperationalError: could not connect to server": true,
		"Error: getaddrinfo ENOTFOUND db":                        true,
		"lookup db on 10.0.0.10:53: no such host":                true,
		"Retrying in 5 seconds...":                               true,
		"Waiting for connections":                                false,
		"waiting for incoming requests on :8080":                 false,
		"database system is ready to accept connections":         false,
		"Ready to accept connections tcp":                        false,
		"":                                                       false,
	} {
		if got := isWaiting(line); got != want {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}

// TestIgnores reads processes in directories that look like theirs in /proc.
func TestIgnores(t *testing.T) {
	const status = "Name:\tx\nNSpid:\t4711\t1\nSigBlk:\t0000000000000000\nSigCgt:\t0000000000010000\n" // SIGCHLD is caught
	for _, tc := range []struct {
		name, status, thread, call string
		want                       bool
	}{
		{"no handler", status, status, "35 0x0", true},
		{"a handler", status, "SigBlk:\t0\nSigCgt:\t0000000000004000\n", "35 0x0", false},
		{"blocked, for signalfd or sigwait", status, "SigBlk:\t0000000000004000\nSigCgt:\t0\n", "35 0x0", false},
		{"waits for signals, as tini does", status, status, "128 0x0", false},
		{"not the first of its namespace", "NSpid:\t4711\t7\n", status, "35 0x0", false},
		{"of the machine's namespace", "NSpid:\t1\n", status, "35 0x0", false},
		{"unreadable", status, "SigBlk:\tx\n", "35 0x0", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			proc := t.TempDir()
			for name, text := range map[string]string{"status": tc.status, "task/4711/status": tc.thread, "task/4711/syscall": tc.call} {
				file := filepath.Join(proc, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := ignores(proc, 15); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
	if ignores(filepath.Join(t.TempDir(), "gone"), 15) {
		t.Error("a process that has ended is said to ignore its signal")
	}
}
