package containerd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A rule is one of the firewall's that all pods of a network share. The CNI
// plugins would make and remove such for each pod, which costs a pod's start
// and end a dozen calls of iptables.
type rule struct {
	table, chain string
	first        bool // before what others put there
	purpose      string
	match        []string // and what becomes of it
}

// rules let the pods reach what lies outside of the machine, and their packets
// through where others, Docker among them, drop what is forwarded. They are
// made in this order.
func (n Network) rules() []rule {
	subnet := n.Subnet.String()
	return []rule{
		{"nat", "POSTROUTING", false, "multicast", []string{"-s", subnet, "-d", "224.0.0.0/4", "-j", "RETURN"}},
		{"nat", "POSTROUTING", false, "masquerade", []string{"-s", subnet, "!", "-d", subnet, "-j", "MASQUERADE"}},
		{"filter", "FORWARD", true, "out", []string{"-s", subnet, "-j", "ACCEPT"}},
		{"filter", "FORWARD", true, "answers", []string{"-d", subnet, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"}},
	}
}

// comment tells a rule from all others; isNetworkRule knows it by the bridge.
func (n Network) comment(r rule) string {
	return fmt.Sprintf("name: %q pods: %s %s", n.Bridge, n.Subnet, r.purpose)
}

// openFirewall makes the rules that are missing, and removes those of a subnet
// that the network had before.
func openFirewall(ctx context.Context, iptables string, n Network) error {
	if iptables == "" {
		return errors.New("iptables is missing (" + install("iptables") + ")")
	}
	for _, table := range []string{"nat", "filter"} {
		lines, err := listRules(ctx, iptables, table)
		if err != nil {
			return err
		}
		if err := n.reconcile(ctx, iptables, table, lines); err != nil {
			return err
		}
	}
	return nil
}

// reconcile brings one table, which has the rules of lines, to what it should be.
func (n Network) reconcile(ctx context.Context, iptables, table string, lines []string) error {
	var found []string
	for _, line := range lines {
		if c := commentOf(line); strings.HasPrefix(c, fmt.Sprintf("name: %q pods: ", n.Bridge)) {
			found = append(found, c)
			if !strings.HasPrefix(c, fmt.Sprintf("name: %q pods: %s ", n.Bridge, n.Subnet)) {
				runIptables(ctx, iptables, append([]string{"-t", table, "-D"}, splitRule(line)[1:]...)...) // or it just went
			}
		}
	}
	for _, r := range n.rules() {
		comment := n.comment(r)
		if r.table != table || slices.Contains(found, comment) {
			continue
		}
		place := []string{"-A", r.chain}
		if r.first {
			place = []string{"-I", r.chain, "1"}
		}
		args := append([]string{"-t", table}, place...)
		args = append(args, "-m", "comment", "--comment", comment)
		if _, err := runIptables(ctx, iptables, append(args, r.match...)...); err != nil {
			return err
		}
	}
	return nil
}

// commentOf is the comment of a rule as iptables -S prints it.
func commentOf(line string) string {
	words := splitRule(line)
	if i := slices.Index(words, "--comment"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
