package containerd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A rule is a firewall rule for all pods of a network. The CNI plugins would
// add and remove such rules for each pod, which takes a dozen calls of iptables
// whenever a pod starts or ends.
type rule struct {
	table, chain string
	first        bool // insert before the rules of others, instead of appending
	purpose      string
	match        []string // match and target
}

// rules returns the rules of the network, in the order in which they are added.
// The nat rules masquerade the pods' traffic to other machines. The filter rules
// accept forwarded traffic of the pods, and what they send to the addresses of
// Services; they come first, because other programs, such as Docker and ufw, drop it.
//
// Every address of the range of Services belongs to this machine, so that a program
// that listens on 0.0.0.0 is reached at each of them. The match socket (xt_socket),
// without --nowildcard, accepts only packets to a socket that is bound to the very
// address; the firewall decides about all others.
func (n Network) rules() []rule {
	subnet := n.Subnet.String()
	list := []rule{
		// Multicast keeps the pod's own source address.
		{"nat", "POSTROUTING", false, "multicast", []string{"-s", subnet, "-d", "224.0.0.0/4", "-j", "RETURN"}},
		{"nat", "POSTROUTING", false, "masquerade", []string{"-s", subnet, "!", "-d", subnet, "-j", "MASQUERADE"}},
		{"filter", "FORWARD", true, "out", []string{"-s", subnet, "-j", "ACCEPT"}},
		{"filter", "FORWARD", true, "answers", []string{"-d", subnet, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"}},
	}
	if n.Services.IsValid() {
		services := n.Services.String()
		list = append(list, rule{"filter", "INPUT", true, servicesPurpose + services, []string{"-s", subnet, "-d", services, "-m", "socket", "-j", "ACCEPT"}})
	}
	return list
}

// servicesPurpose differs from the "services " of earlier rules, which accepted packets to
// every listener and have to be replaced.
const servicesPurpose = "listeners of services "

// errServices is returned by openFirewall if only the rule for Services is missing.
var errServices = errors.New("pods reach no Services if the firewall of this machine drops input (load the kernel module xt_socket)")

// comment returns the comment that identifies a rule. isNetworkRule searches it
// for the bridge.
func (n Network) comment(r rule) string {
	return fmt.Sprintf("name: %q pods: %s %s", n.Bridge, n.Subnet, r.purpose)
}

// openFirewall adds the rules that are missing and removes those that the network had
// before, such as the rules of another subnet.
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

// reconcile adds and removes rules of one table, whose current rules are lines.
func (n Network) reconcile(ctx context.Context, iptables, table string, lines []string) error {
	var wanted, found []string
	for _, r := range n.rules() {
		wanted = append(wanted, n.comment(r))
	}
	for _, line := range lines {
		if c := commentOf(line); strings.HasPrefix(c, fmt.Sprintf("name: %q pods: ", n.Bridge)) {
			found = append(found, c)
			if !slices.Contains(wanted, c) {
				// An error is ignored: the rule may already have been removed.
				runIptables(ctx, iptables, append([]string{"-t", table, "-D"}, splitRule(line)[1:]...)...)
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
			if strings.HasPrefix(r.purpose, servicesPurpose) {
				return fmt.Errorf("%w: %w", errServices, err)
			}
			return err
		}
	}
	return nil
}

// commentOf returns the comment of a rule in the format of iptables -S.
func commentOf(line string) string {
	words := splitRule(line)
	if i := slices.Index(words, "--comment"); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}
