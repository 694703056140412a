package inventory

import (
	"net/netip"
	"slices"
	"strings"
)

// The numbers of names that are suggested for an unknown one.
const (
	shownNear   = 5
	shownGroups = 12
)

// isPlausibleHost reports whether a name that is in no inventory is taken for a host. A
// name that is similar to a known one is taken for a typing error, unless ssh_config has
// it: connecting to a mistyped host, which may exist, is worse than an error.
func (inv Inventory) isPlausibleHost(name string) bool {
	if isGlob(name) || checkName("host", name, commandLine) != nil || strings.ContainsAny(name, "()/\\|$^+{}") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil || inv.resolver.config.knows(name) {
		return true
	}
	return len(inv.similarNames(name)) == 0
}

// noMatch returns the error for a pattern without a match, with similar names.
func (inv Inventory) noMatch(t term, base string) error {
	groups := inv.graph.groupOrder
	hint := "there are the groups " + strings.Join(groups[:min(len(groups), shownGroups)], ", ")
	if len(groups) > shownGroups {
		hint += ", …"
	}
	if near := inv.similarNames(base); len(near) > 0 {
		hint = "near: " + strings.Join(near, ", ")
		if !isGlob(base) && t.op == 0 {
			hint += "; for a host that is in no inventory write ssh://" + base
		}
	}
	return fail(commandLine, hint, "no host or group matches %.200q", t)
}

// similarNames returns the hosts and groups whose name is similar to an unknown one, the
// most similar first.
func (inv Inventory) similarNames(name string) []string {
	name = strings.TrimPrefix(name, "~")
	isPrefix := false
	if i := strings.IndexAny(name, `*?[(.^$|\+`); i >= 0 && isGlob(name) {
		name, isPrefix = name[:i], true
	}
	// In short names two errors would match almost anything.
	limit := min(2, len(name)/3)
	if limit == 0 || len(name) > maxName || len(inv.graph.hosts) == 0 {
		return nil
	}
	type candidate struct {
		name     string
		distance int
	}
	var all []candidate
	for _, names := range [][]string{inv.graph.groupOrder, inv.graph.hostOrder} {
		for _, other := range names {
			compared := other
			if isPrefix {
				compared = other[:min(len(other), len(name))]
			}
			if d := editDistance(name, compared, limit); d <= limit {
				all = append(all, candidate{other, d})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return a.distance - b.distance })
	var names []string
	for _, c := range all[:min(len(all), shownNear)] {
		if !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// editDistance returns how many letters must be inserted, removed, changed or swapped
// with the next to turn a into b (optimal string alignment). A result above limit is
// only known to be above it.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	a, b = strings.ToLower(a), strings.ToLower(b)
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
