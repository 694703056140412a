package facts

import "testing"

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
