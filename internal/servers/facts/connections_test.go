package facts

import (
	"slices"
	"testing"
)

// Connections from other machines are counted, and the machine's own are not.
func TestConnections(t *testing.T) {
	for _, tt := range []struct {
		local, remote string
		want          bool
	}{
		{"0100000A:0050", "0200000A:C000", true},
		{"0100000A:0050", "0100000A:C000", false}, // from itself
		{"0100007F:0050", "0100007F:C000", false},
		{"0100000A:0051", "0200000A:C000", false}, // another port
		{"x", "0200000A:C000", false},
	} {
		if got := isTo([]uint16{80}, tt.local, tt.remote); got != tt.want {
			t.Errorf("%s from %s: got %t", tt.local, tt.remote, got)
		}
	}
}

// The kernel prints addresses in the byte order of its machine.
func TestListenersByByteOrder(t *testing.T) {
	line := func(address string) string {
		return "0: " + address + " 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1\n"
	}
	const six = "[2001:db8::1]:22"
	for _, tt := range []struct{ arch, file, address, want string }{
		{"amd64", "tcp", "0100007F:0016", "127.0.0.1:22"},
		{"s390x", "tcp", "7F000001:0016", "127.0.0.1:22"},
		{"arm64", "tcp6", "B80D0120000000000000000001000000:0016", six},
		{"ppc64", "tcp6", "20010DB8000000000000000000000001:0016", six},
		{"ppc64le", "tcp6", "B80D0120000000000000000001000000:0016", six},
	} {
		k := Kernel{Sockets: map[string]string{tt.file: line(tt.address)}, Programs: map[string]string{"77": "sshd"}}
		want := []Fact{{Listener, "tcp " + tt.want, "sshd"}}
		if got := k.facts(tt.arch); !slices.Equal(got, want) {
			t.Errorf("%s on %s: %v, want %v", tt.address, tt.arch, got, want)
		}
	}
}
