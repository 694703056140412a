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

// The CNI plugins create these iptables chains ("table chain") and directories
// once for all networks and never remove them.
var (
	sharedChains = []string{
		"filter CNI-FORWARD", "filter CNI-ADMIN",
		"nat CNI-HOSTPORT-DNAT", "nat CNI-HOSTPORT-MASQ", "nat CNI-HOSTPORT-SETMARK",
	}
	sharedDirs = []string{"/var/lib/cni/results", "/var/lib/cni"}
)

// recordOwned records, at the first start, which shared chains and directories
// do not exist yet. They belong to this instance and are removed with it.
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

// removeNetwork removes the bridge, the network's firewall rules, and the
// shared chains and directories that belong to this instance.
func (in *instance) removeNetwork(ctx context.Context, l layout) error {
	if iptables := lookPath("iptables"); iptables != "" && in.Subnet.IsValid() {
		own := ruleSet{bridge: l.bridge()}
		if _, err := net.InterfaceByName(own.bridge); err == nil {
			// Once the bridge is gone, another network may have chosen the
			// subnet, and its rules must not be removed by their addresses.
			own.subnet = in.Subnet
		}
		if err := own.remove(ctx, iptables); err != nil {
			return err
		}
		in.removeShared(ctx, iptables)
	}
	if err := removeLink(l.bridge()); err != nil {
		return err
	}
	if in.Services.IsValid() {
		if err := removeLocalRoute(in.Services); err != nil {
			return err
		}
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
			// Not RemoveAll: the directory stays if another network has
			// files in it.
			os.Remove(dir)
		}
	}
	return nil
}

// A ruleSet is the part of the firewall that belongs to one network: the rules
// whose comment names its bridge, the portmap plugin's chains that these rules
// jump to, and the portmap chains with addresses of its subnet that no rule
// jumps to. The latter are left if the plugin was killed halfway.
type ruleSet struct {
	bridge string
	subnet netip.Prefix // zero if another network may use it now
}

// sweeps is the maximum number of attempts to remove all rules. One attempt can
// miss rules, because other programs change the same tables at the same time
// and a CNI plugin can outlive the runtime that started it.
const sweeps = 20

// remove calls sweep until it finds no rules of the set.
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

// sweep removes the set once and returns the rules that it found. The error is
// non-nil if a table could not be listed or a rule or chain could not be
// removed.
func (r ruleSet) sweep(ctx context.Context, iptables string) (seen []string, err error) {
	for _, table := range []string{"nat", "filter"} {
		rules, err := listRules(ctx, iptables, table)
		if err != nil {
			return seen, err
		}
		// After an error the other rules are tried as well: the failed one may
		// have been removed by its plugin since the table was listed.
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
		// Chains come after rules, because iptables deletes a chain only if it
		// is empty (-F) and no rule jumps to it.
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

// orphanedChain returns the portmap chain of a rule that has no comment but
// matches an address of the subnet. It returns "" for all other rules.
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

// removeShared removes the shared chains that belong to this instance, unless
// another program may be using them. Errors are ignored: iptables refuses to
// delete a chain that is in use.
func (in *instance) removeShared(ctx context.Context, iptables string) {
	if in.Owned == nil || otherRuntimeRuns() {
		return
	}
	for _, chain := range *in.Owned {
		if strings.Contains(chain, " ") {
			removeJumps(ctx, iptables, chain)
		}
	}
	// One chain may jump to another, which can be deleted only after it.
	for range 2 {
		for _, chain := range *in.Owned {
			if table, name, ok := strings.Cut(chain, " "); ok && slices.Contains(sharedChains, chain) {
				runIptables(ctx, iptables, "-t", table, "-X", name)
			}
		}
	}
}

// podChain matches the chains that the portmap plugin creates for each pod.
var podChain = regexp.MustCompile(`\bCNI-(DN-)?[0-9a-f]{16,}\b`)

// isNetworkRule reports whether the comment of a rule names a network's bridge.
func isNetworkRule(rule, bridge string) bool {
	return strings.HasPrefix(rule, "-A ") && strings.Contains(commentOf(rule), `"`+bridge+`"`)
}

// removeJumps removes the rules that jump to a shared chain, and portmap's own
// rules in it. It removes nothing if the chain has other rules.
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
			return // a pod of another network needs the chain
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

// sharedRule matches the rules in portmap's chains that serve all pods.
var sharedRule = regexp.MustCompile(`CNI portfwd (masquerade|requiring masquerade|non-local)|--set-xmark|0x2000`)

// otherRuntimeRuns reports whether another program that uses CNI may be
// running. The instance's own containerd has ended when this is called.
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
	// -w waits for the xtables lock; without it iptables fails while another
	// program holds the lock.
	out, err := exec.CommandContext(ctx, iptables, append([]string{"-w"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("iptables %s: %s", strings.Join(args, " "), firstLine(out, err))
	}
	return string(out), nil
}

// splitRule splits a rule in the format of iptables -S into its words. A word
// in double quotes may contain spaces, and quotes after a backslash.
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
