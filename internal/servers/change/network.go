package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// A network is the state of the network, which is in no file. A change that only cuts
// off the network leaves no other trace. A field is empty if the program that reads it
// is missing.
type network struct {
	Links    []string `json:"links,omitempty"`  // that are up
	Addrs    []string `json:"addrs,omitempty"`  // "eth0 10.0.0.1/24"
	Routes   []string `json:"routes,omitempty"` // of the main table, as ip route prints them
	Iptables string   `json:"iptables,omitempty"`
	Nftables string   `json:"nftables,omitempty"`
}

// netTimeout bounds each program that reads or changes the network.
const netTimeout = 20 * time.Second

func readNetwork(ctx context.Context) network {
	var n network
	for line := range strings.Lines(output(ctx, "ip", "-o", "link", "show", "up")) {
		if f := strings.Fields(line); len(f) > 1 {
			name, _, _ := strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
			n.Links = append(n.Links, name)
		}
	}
	for line := range strings.Lines(output(ctx, "ip", "-o", "addr", "show", "scope", "global")) {
		if f := strings.Fields(line); len(f) > 3 {
			n.Addrs = append(n.Addrs, f[1]+" "+f[3])
		}
	}
	for line := range strings.Lines(output(ctx, "ip", "route", "show")) {
		n.Routes = append(n.Routes, strings.TrimSpace(line))
	}
	n.Iptables, n.Nftables = output(ctx, "iptables-save"), output(ctx, "nft", "list", "ruleset")
	return n
}

// revertNetwork restores links, addresses, routes and rules of the firewall. It changes
// only what differs, because setting a link or flushing a table drops connections.
//
// The order matters: a route needs an address in the network of its gateway, and an
// address needs a link that is up. Routes are read again after that, because the kernel
// adds some of them together with addresses.
func (r *runner) revertNetwork(ctx context.Context) error {
	m, err := r.loadFacts()
	if err != nil {
		return err
	}
	now := readNetwork(ctx)
	var errs []error
	try := func(stdin, name string, args ...string) {
		if err := runWithInput(ctx, stdin, name, args...); err != nil {
			errs = append(errs, err)
		}
	}
	for _, l := range missing(m.Network.Links, now.Links) {
		try("", "ip", "link", "set", l, "up")
	}
	for _, a := range missing(m.Network.Addrs, now.Addrs) {
		link, addr, _ := strings.Cut(a, " ")
		try("", "ip", "addr", "replace", addr, "dev", link)
	}
	for _, route := range missing(m.Network.Routes, readNetwork(ctx).Routes) {
		try("", "ip", append([]string{"route", "replace"}, strings.Fields(strings.ReplaceAll(route, " linkdown", ""))...)...)
	}
	if before := m.Network.Iptables; rules(before) != rules(now.Iptables) {
		try(before, "iptables-restore")
	}
	// iptables-nft keeps its rules in nftables, too. Those were restored above.
	if before := m.Network.Nftables; before != now.Nftables && m.Network.Iptables == "" {
		try("flush ruleset\n"+before, "nft", "-f", "-")
	}
	return errors.Join(errs...)
}

// rules drops the comments and counters of iptables-save, which differ each time.
func rules(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			line, _, _ = strings.Cut(line, " [")
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func missing(want, got []string) []string {
	has := map[string]bool{}
	for _, g := range got {
		has[g] = true
	}
	var list []string
	for _, w := range want {
		if !has[w] {
			list = append(list, w)
		}
	}
	return list
}

// output returns the output of a program, empty if it fails.
func output(ctx context.Context, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, netTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func runWithInput(ctx context.Context, stdin, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, netTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = environment, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
