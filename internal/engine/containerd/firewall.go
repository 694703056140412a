package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
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

// noteOurs remembers, at the first start, what of the shared things is not
// there yet: it is ours to remove in the end.
func (in *instance) noteOurs(ctx context.Context, b Binaries) {
	if in.Ours != nil {
		return
	}
	ours := []string{}
	for _, dir := range sharedDirs {
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			ours = append(ours, dir)
		}
	}
	for _, chain := range sharedChains {
		table, name, _ := strings.Cut(chain, " ")
		rules, err := listRules(ctx, b.Iptables, table)
		if err == nil && !slices.Contains(rules, "-N "+name) {
			ours = append(ours, chain)
		}
	}
	in.Ours = &ours
}

// removeNetwork removes the bridge and, of the firewall's rules and the CNI
// plugins' directories, what is ours.
func (in *instance) removeNetwork(ctx context.Context, l layout) error {
	if err := removeLink(l.bridge()); err != nil {
		return err
	}
	if iptables := lookPath("iptables"); iptables != "" {
		in.removeRules(ctx, iptables, l.bridge())
	}
	leftovers, _ := filepath.Glob("/var/lib/cni/results/" + l.bridge() + "-*")
	for _, path := range leftovers {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if in.Ours == nil {
		return nil
	}
	for _, dir := range sharedDirs {
		if slices.Contains(*in.Ours, dir) {
			os.Remove(dir) // fails if another's files are in it, as it should
		}
	}
	return nil
}

// removeRules removes rules of pods that were ended by force, and then the
// shared chains if we made them and nobody else seems to use them. A rule
// that does not go is one that another process just removed, or of no effect:
// the addresses in it are nobody's.
func (in *instance) removeRules(ctx context.Context, iptables, bridge string) {
	var chains []string
	for _, table := range []string{"nat", "filter"} {
		rules, err := listRules(ctx, iptables, table)
		if err != nil {
			continue
		}
		for _, rule := range rules {
			if isOurRule(rule, bridge) {
				runIptables(ctx, iptables, append([]string{"-t", table, "-D"}, splitRule(rule)[1:]...)...)
				chains = append(chains, table+" "+podChain.FindString(rule))
			}
		}
	}
	if in.Ours != nil && !othersRun() {
		for _, chain := range *in.Ours {
			if strings.Contains(chain, " ") {
				removeJumps(ctx, iptables, chain)
				chains = append(chains, chain)
			}
		}
	}
	for range 2 { // the first may be what the second is reached from
		for _, chain := range chains {
			table, name, _ := strings.Cut(chain, " ")
			if name == "" {
				continue
			}
			if slices.Contains(sharedChains, chain) {
				runIptables(ctx, iptables, "-t", table, "-X", name) // only if empty
				continue
			}
			runIptables(ctx, iptables, "-t", table, "-F", name)
			runIptables(ctx, iptables, "-t", table, "-X", name)
		}
	}
}

// podChain matches the chains that the portmap plugin makes for
// each pod.
var podChain = regexp.MustCompile(`\bCNI-(DN-)?[0-9a-f]{16,}\b`)

// isOurRule tells whether a rule's comment names our network.
func isOurRule(rule, bridge string) bool {
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
		case strings.HasPrefix(rule, "-A "+name+" ") && !sharedMark.MatchString(rule):
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

// sharedMark matches the rules of portmap's own chains that serve all pods.
var sharedMark = regexp.MustCompile(`CNI portfwd (masquerade|requiring masquerade|non-local)|--set-xmark|0x2000`)

// othersRun tells whether another program that uses CNI may run here.
func othersRun() bool {
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
