package inventory

import (
	"slices"
	"strings"
)

// The numbers of names that are suggested for an unknown one.
const (
	shownNear   = 5
	shownGroups = 12
)

// isForeignHost reports whether a name that is in no inventory is that of a host: if
// ssh_config names it, or if no inventory was given. Other names are errors. Connecting to a
// mistyped host, which may exist, is worse than an error.
func (inv Inventory) isForeignHost(name string) bool {
	if isGlob(name) || !inv.isConnectableName(name) || inv.graph.groups[name] != nil {
		return false
	}
	return !inv.hasFiles || inv.resolver.config.knows(name)
}

func (inv Inventory) isConnectableName(name string) bool {
	return checkName("host", name, commandLine) == nil && !strings.ContainsAny(name, " ()/\\|$^+{}&!~,")
}

// noMatch returns the error for a pattern without a match, with similar names.
func (inv Inventory) noMatch(t term, base string) error {
	var hints []string
	if near := inv.similarNames(base); len(near) > 0 {
		hints = append(hints, "similar: "+strings.Join(near, ", "))
	} else {
		groups := inv.graph.groupOrder
		hint := "there are the groups " + strings.Join(groups[:min(len(groups), shownGroups)], ", ")
		if len(groups) > shownGroups {
			hint += ", …"
		}
		hints = append(hints, hint)
	}
	if slices.ContainsFunc(strings.Split(base, ":"), inv.knows) {
		hints = append(hints, "patterns are separated by commas or by colons, not by both")
	}
	if !isGlob(base) && t.op == 0 && inv.isConnectableName(base) {
		hints = append(hints, "for a host that is in no inventory write ssh://"+base)
	}
	return fail(commandLine, strings.Join(hints, "; "), "no host or group matches %.200q", t)
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
	for _, names := range [][]string{inv.graph.groupOrder, inv.graph.hostOrder, inv.resolver.config.names()} {
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
