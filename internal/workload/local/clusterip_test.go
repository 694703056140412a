package local

import (
	"net/netip"
	"testing"
)

// TestClaimNetwork checks that no two processes in the foreground have the same
// addresses for Services, and that a block is free again when its owner ends.
func TestClaimNetwork(t *testing.T) {
	root := t.TempDir()
	pods, services := netip.MustParsePrefix("10.201.7.0/24"), netip.MustParsePrefix("10.212.28.0/22")
	owners := map[netip.Prefix]network{}
	daemon := daemonNetwork(pods, services)
	for {
		n, err := claimNetwork(root, pods, services)
		if err != nil {
			t.Log(err)
			break
		}
		defer n.close()
		if _, ok := owners[n.block]; ok || daemon.block.Overlaps(n.block) || !services.Contains(n.server) {
			t.Fatalf("%s has two owners, or is no block for the foreground", n.block)
		}
		owners[n.block] = n
	}
	if want := (1024 - 256) / 32; len(owners) != want {
		t.Fatalf("%d processes have addresses, want %d", len(owners), want)
	}
	for block, n := range owners {
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
		again, err := claimNetwork(root, pods, services)
		if err != nil || again.block != block {
			t.Fatalf("got %s, %v, want %s", again.block, err, block)
		}
		again.close()
		break
	}
}
