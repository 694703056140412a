package containerd

import (
	"net/netip"
	"strings"
	"testing"
)

// ourRules are the firewall's rules of a daemon's network.
func ourRules(t *testing.T, d *Daemon) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, table := range []string{"nat", "filter"} {
		lines, err := listRules(t.Context(), lookPath("iptables"), table)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if isOurRule(line, d.layout.bridge()) {
				found[table] = append(found[table], line)
			}
		}
	}
	return found
}

// The rules are there once, whatever network the daemon had before, and come
// back at its next start where somebody removed them.
func TestFirewallRules(t *testing.T) {
	d, o := startTest(t)
	iptables := lookPath("iptables")
	before := ourRules(t, d)
	if len(before["nat"]) != 2 || len(before["filter"]) != 2 {
		t.Fatalf("got rules %q, want two in each table", before)
	}
	for _, line := range append(before["nat"], before["filter"][0]) {
		table := "nat"
		if strings.HasPrefix(line, "-A FORWARD") {
			table = "filter"
		}
		if _, err := runIptables(t.Context(), iptables, append([]string{"-t", table, "-D"}, splitRule(line)[1:]...)...); err != nil {
			t.Fatal(err)
		}
	}
	stale := Network{Bridge: d.network.Bridge, Subnet: netip.MustParsePrefix("198.51.100.0/24")}
	if err := openFirewall(t.Context(), iptables, stale); err != nil {
		t.Fatal(err)
	}
	killDaemon(t, d)
	again, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for table, lines := range ourRules(t, again) {
		if len(lines) != 2 || strings.Contains(strings.Join(lines, "\n"), stale.Subnet.String()) {
			t.Errorf("table %s has %q, want two rules of %s", table, lines, again.network.Subnet)
		}
	}
}
