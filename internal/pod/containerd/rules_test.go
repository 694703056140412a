package containerd

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ourRules returns the firewall rules of a daemon's network.
func ourRules(t *testing.T, d *Daemon) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, table := range []string{"nat", "filter"} {
		lines, err := listRules(t.Context(), lookPath("iptables"), table)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if isNetworkRule(line, d.layout.bridge()) {
				found[table] = append(found[table], line)
			}
		}
	}
	return found
}

// Each rule exists once, even if the network had another subnet before. The next
// start adds rules that somebody removed.
func TestFirewallRules(t *testing.T) {
	d, o := startTest(t)
	iptables := lookPath("iptables")
	before := ourRules(t, d)
	if len(before["nat"]) != 2 || len(before["filter"]) != 3 {
		t.Fatalf("got rules %q, want two for nat and three for filter", before)
	}
	for _, line := range append(before["nat"], before["filter"][0]) {
		table := "nat"
		if !strings.HasPrefix(line, "-A POSTROUTING") {
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
		if len(lines) != len(before[table]) || strings.Contains(strings.Join(lines, "\n"), stale.Subnet.String()) {
			t.Errorf("table %s has %q, want %d rules of %s", table, lines, len(before[table]), again.network.Subnet)
		}
	}
}

// The rules and chains that a killed plugin left are removed, including a chain
// for an address of the network that no rule jumps to. Those of another network
// stay. A rule that cannot be removed is an error.
func TestFirewallRulesGo(t *testing.T) {
	iptables := lookPath("iptables")
	own := ruleSet{bridge: "adm-test-own", subnet: netip.MustParsePrefix("198.51.100.0/25")}
	other := ruleSet{bridge: "adm-test-other", subnet: netip.MustParsePrefix("203.0.113.0/25")}
	t.Cleanup(func() {
		for _, r := range []ruleSet{own, other} {
			if err := r.remove(context.Background(), iptables); err != nil {
				t.Error(err)
			}
		}
	})
	make := func(args ...string) {
		t.Helper()
		if _, err := runIptables(t.Context(), iptables, append([]string{"-t", "nat"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range []ruleSet{own, other} {
		if err := openFirewall(t.Context(), iptables, Network{Bridge: r.bridge, Subnet: r.subnet}); err != nil {
			t.Fatal(err)
		}
		for n, rule := range [][]string{
			{"-s", r.subnet.String(), "-p", "tcp", "--dport", "80", "-j", "MARK", "--set-xmark", "0x2000"},
			{"-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", r.subnet.Addr().Next().String() + ":80"},
		} {
			chain := fmt.Sprintf("CNI-DN-%020x", 0xadada0+2*i+n)
			make("-N", chain)
			make(append([]string{"-A", chain}, rule...)...)
		}
	}
	if err := own.remove(t.Context(), iptables); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		all := ""
		for _, table := range []string{"nat", "filter"} {
			lines, err := listRules(t.Context(), iptables, table)
			if err != nil {
				t.Fatal(err)
			}
			all += strings.Join(lines, "\n") + "\n"
		}
		return all
	}
	rules := list()
	for _, trace := range []string{own.bridge, own.subnet.String(), own.subnet.Addr().Next().String(), "adada0", "adada1"} {
		if strings.Contains(rules, trace) {
			t.Errorf("%s is left in\n%s", trace, rules)
		}
	}
	if n := strings.Count(rules, other.bridge); n != 4 || !strings.Contains(rules, "adada2") || !strings.Contains(rules, "adada3") {
		t.Errorf("of another network's rules %d of 4 are left, or a chain is gone:\n%s", n, rules)
	}

	broken := filepath.Join(t.TempDir(), "iptables")
	script := "#!/bin/sh\ncase \"$*\" in *-D*) echo it does not go >&2; exit 4;; esac\nexec " + iptables + " \"$@\"\n"
	if err := os.WriteFile(broken, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	err := other.remove(t.Context(), broken)
	if err == nil || !strings.Contains(err.Error(), other.bridge) || !strings.Contains(err.Error(), "it does not go") {
		t.Errorf("got %v, want the rules that are left and why", err)
	}
}
