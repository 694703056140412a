package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
)

// What the CNI plugins make and never remove, wherever there is no other user
// of them: chains of iptables as "table chain", and directories.
var (
	sharedChains = []string{
		"filter CNI-FORWARD", "filter CNI-ADMIN",
		"nat CNI-HOSTPORT-DNAT", "nat CNI-HOSTPORT-MASQ", "nat CNI-HOSTPORT-SETMARK",
	}
	sharedDirs = []string{"/var/lib/cni/results", "/var/lib/cni"}
)

// recordOwned remembers, at the first start, what of the shared things is not
// there yet: it is ours to remove in the end.
func (in *instance) recordOwned(ctx context.Context, b Binaries) {
	if in.Owned != nil {
		return
	}
	owned := []string{}
	for _, dir := range sharedDirs {
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			owned = append(owned, dir)
		}
	}
	for _, chain := range sharedChains {
		table, name, _ := strings.Cut(chain, " ")
		rules, err := listRules(ctx, b.Iptables, table)
		if err == nil && !slices.Contains(rules, "-N "+name) {
			owned = append(owned, chain)
		}
	}
	in.Owned = &owned
}

// removeNetwork removes the bridge and, of the firewall's rules and the CNI
// plugins' directories, what is ours.
func (in *instance) removeNetwork(ctx context.Context, l layout) error {
	if iptables := lookPath("iptables"); iptables != "" && in.Subnet.IsValid() {
		own := ruleSet{bridge: l.bridge()}
		if _, err := net.InterfaceByName(own.bridge); err == nil {
			own.subnet = in.Subnet // nobody else's as long as the bridge has it
		}
		if err := own.remove(ctx, iptables); err != nil {
			return err
		}
		in.removeShared(ctx, iptables)
	}
	if err := removeLink(l.bridge()); err != nil {
		return err
	}
	leftovers, _ := filepath.Glob("/var/lib/cni/results/" + l.bridge() + "-*")
	for _, path := range leftovers {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if in.Owned == nil {
		return nil
	}
	for _, dir := range sharedDirs {
		if slices.Contains(*in.Owned, dir) {
			os.Remove(dir) // fails if another's files are in it, as it should
		}
	}
	return nil
}

// A ruleSet is the part of the firewall that belongs to one network: the rules whose comment
// names its bridge, the portmap plugin's chains that they lead to, and such
// chains for addresses of its subnet that nothing leads to, because the plugin
// was killed in between.
type ruleSet struct {
	bridge string
	subnet netip.Prefix // zero where others may have it by now
}

// sweeps is how often rules are looked for until none are left: others change
// the same tables meanwhile, and a plugin that outlived its runtime may.
const sweeps = 20

// remove removes the set, and looks again until it is not there.
func (r ruleSet) remove(ctx context.Context, iptables string) error {
	var left []string
	var err error
	for n := range sweeps {
		if left, err = r.sweep(ctx, iptables); err == nil && len(left) == 0 {
			return nil
		}
		if err := clock.Sleep(ctx, time.Duration(n)*10*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("the firewall keeps rules of %s: %q", r.bridge, left), err)
}

// sweep removes the set once, and returns the rules and chains it saw. The
// error is why one could not be looked for or did not go.
func (r ruleSet) sweep(ctx context.Context, iptables string) (seen []string, err error) {
	for _, table := range []string{"nat", "filter"} {
		rules, err := listRules(ctx, iptables, table)
		if err != nil {
			return seen, err
		}
		var failed error
		var chains []string
		try := func(args ...string) {
			if _, err := runIptables(ctx, iptables, append([]string{"-t", table}, args...)...); err != nil {
				failed = err
			}
		}
		for _, rule := range rules {
			if isNetworkRule(rule, r.bridge) {
				seen = append(seen, rule)
				try(append([]string{"-D"}, splitRule(rule)[1:]...)...)
				chains = append(chains, podChain.FindString(rule))
			} else if chain := r.orphanedChain(rule); chain != "" {
				seen = append(seen, rule)
				chains = append(chains, chain)
			}
		}
		slices.Sort(chains)
		for _, chain := range slices.Compact(chains) {
			if chain != "" && slices.Contains(rules, "-N "+chain) {
				try("-F", chain)
				try("-X", chain)
			}
		}
		if failed != nil {
			return seen, failed
		}
	}
	return seen, nil
}

// orphanedChain is the plugin's chain that a rule without a comment is in, if it
// is about addresses of the subnet.
func (r ruleSet) orphanedChain(rule string) string {
	words := splitRule(rule)
	if len(words) < 3 || words[0] != "-A" || !podChain.MatchString(words[1]) || slices.Contains(words, "--comment") {
		return ""
	}
	for _, word := range words[2:] {
		addr, err := netip.ParseAddr(word)
		if p, err2 := netip.ParsePrefix(word); err != nil && err2 == nil {
			addr, err = p.Addr(), nil
		}
		if p, err2 := netip.ParseAddrPort(word); err != nil && err2 == nil {
			addr, err = p.Addr(), nil
		}
		if err == nil && r.subnet.Contains(addr) {
			return words[1]
		}
	}
	return ""
}

// removeShared removes the shared chains, if we made them and nobody else seems
// to use them.
func (in *instance) removeShared(ctx context.Context, iptables string) {
	if in.Owned == nil || otherRuntimeRuns() {
		return
	}
	for _, chain := range *in.Owned {
		if strings.Contains(chain, " ") {
			removeJumps(ctx, iptables, chain)
		}
	}
	for range 2 { // the first may be what the second is reached from
		for _, chain := range *in.Owned {
			if table, name, ok := strings.Cut(chain, " "); ok && slices.Contains(sharedChains, chain) {
				runIptables(ctx, iptables, "-t", table, "-X", name) // only if empty
			}
		}
	}
}

// podChain matches the chains that the portmap plugin makes for
// each pod.
var podChain = regexp.MustCompile(`\bCNI-(DN-)?[0-9a-f]{16,}\b`)

// isNetworkRule tells whether a rule's comment names our network.
func isNetworkRule(rule, bridge string) bool {
	return strings.HasPrefix(rule, "-A ") && strings.Contains(commentOf(rule), `"`+bridge+`"`)
}

// removeJumps removes the rules by which the other chains reach a shared one,
// if that is the last of its use.
func removeJumps(ctx context.Context, iptables, chain string) {
	table, name, _ := strings.Cut(chain, " ")
	rules, err := listRules(ctx, iptables, table)
	if err != nil {
		return
	}
	var jumps []string
	for _, rule := range rules {
		switch {
		case strings.HasPrefix(rule, "-A "+name+" ") && !sharedRule.MatchString(rule):
			return // another's
		case strings.HasPrefix(rule, "-A ") && strings.HasSuffix(rule, "-j "+name):
			jumps = append(jumps, rule)
		case strings.HasPrefix(rule, "-A "+name+" "):
			jumps = append(jumps, rule)
		}
	}
	for _, rule := range jumps {
		runIptables(ctx, iptables, append([]string{"-t", table, "-D"}, splitRule(rule)[1:]...)...)
	}
}

// sharedRule matches the rules of portmap's own chains that serve all pods.
var sharedRule = regexp.MustCompile(`CNI portfwd (masquerade|requiring masquerade|non-local)|--set-xmark|0x2000`)

// otherRuntimeRuns tells whether another program that uses CNI may run here.
func otherRuntimeRuns() bool {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range names {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		switch strings.TrimSpace(string(raw)) {
		case "containerd", "crio", "cri-o", "podman", "dockerd", "kubelet", "conmon":
			return true
		}
	}
	return false
}

func listRules(ctx context.Context, iptables, table string) ([]string, error) {
	if iptables == "" {
		return nil, errors.New("iptables is missing")
	}
	out, err := runIptables(ctx, iptables, "-t", table, "-S")
	return strings.Split(out, "\n"), err
}

func runIptables(ctx context.Context, iptables string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, iptables, append([]string{"-w"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("iptables %s: %s", strings.Join(args, " "), firstLine(out, err))
	}
	return string(out), nil
}

// splitRule splits a rule as iptables prints it: words, or strings in double
// quotes with a backslash before quotes inside.
func splitRule(rule string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, any := false, false, false
	for _, r := range rule {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quoted:
			escaped = true
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
		}
	}
	if any || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
