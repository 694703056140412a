package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A network is what of it is not in files: a change that only cuts it off leaves
// no other trace. A field is empty if the program that reads it is missing.
type network struct {
	Links    []string `json:"links,omitempty"`  // that are up
	Addrs    []string `json:"addrs,omitempty"`  // "eth0 10.0.0.1/24"
	Routes   []string `json:"routes,omitempty"` // of the main table, as ip route prints them
	Iptables string   `json:"iptables,omitempty"`
	Nftables string   `json:"nftables,omitempty"`
}

// netTimeout bounds each program that reads or mends the network.
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

// revertNetwork makes links, addresses, routes and rules of the firewall those
// that they were. What is as it was is left alone.
func (c *Carrier) revertNetwork(ctx context.Context) error {
	m, err := c.remembered()
	if err != nil {
		return err
	}
	now := readNetwork(ctx)
	var errs []error
	try := func(stdin, name string, args ...string) {
		if err := feed(ctx, stdin, name, args...); err != nil {
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
	for _, r := range missing(m.Network.Routes, readNetwork(ctx).Routes) {
		try("", "ip", append([]string{"route", "replace"}, strings.Fields(strings.ReplaceAll(r, " linkdown", ""))...)...)
	}
	if before := m.Network.Iptables; rules(before) != rules(now.Iptables) {
		try(before, "iptables-restore")
	}
	if before := m.Network.Nftables; before != now.Nftables && m.Network.Iptables == "" {
		try("flush ruleset\n"+before, "nft", "-f", "-")
	}
	return errors.Join(errs...)
}

// rules are those of iptables-save without times and counters.
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

// output is what a program prints, nothing if it fails.
func output(ctx context.Context, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, netTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environ
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func feed(ctx context.Context, stdin, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, netTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = environ, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// reloads are the services that must read their configuration again when it was
// taken back.
var reloads = []struct {
	below string
	units []string
}{
	{"/etc/ssh", []string{"ssh", "sshd"}},
	{"/etc/network", []string{"networking"}},
	{"/etc/systemd/network", []string{"systemd-networkd"}},
	{"/etc/netplan", []string{"systemd-networkd", "NetworkManager"}},
	{"/etc/NetworkManager", []string{"NetworkManager"}},
}

// reload has services read what was restored, where systemd runs.
func (c *Carrier) reload(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil // nobody can be asked
	}
	var errs []error
	units := map[string]bool{}
	for _, f := range c.state.Files {
		if f.Before == fromSaved {
			continue
		}
		for _, r := range reloads {
			for _, unit := range r.units {
				if isBelow(f.Path, []string{r.below}) {
					units[unit] = true
				}
			}
		}
	}
	if len(units) > 0 {
		errs = append(errs, feed(ctx, "", "systemctl", "daemon-reload"))
	}
	for unit := range units {
		if output(ctx, "systemctl", "is-enabled", unit) != "" {
			errs = append(errs, feed(ctx, "", "systemctl", "reload-or-restart", unit))
		}
	}
	return errors.Join(errs...)
}

// undoRun runs what the job says takes it back.
func (c *Carrier) undoRun(ctx context.Context) error {
	if c.job.UndoRun == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(c.job.Timeout, time.Minute))
	defer cancel()
	out := &tail{most: maxOutput}
	if err := execute(ctx, out, "sh", "-c", c.job.UndoRun); err != nil {
		return because(out.String(), err, "the undo command")
	}
	return nil
}
