package reach

import (
	"maps"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// Without returns the present state without the effects of a change: every part that
// differs between before and after the change is as before, and all others are as now. An
// undo that comes later must keep what people and programs have changed since.
func (now State) Without(before, after State) State {
	s := now
	s.Units = withoutKeys(now.Units, before.Units, after.Units, func(a, b unit) bool { return a.Active == b.Active && a.Frozen == b.Frozen })
	if now.Boot != before.Boot {
		return s // the restart has discarded the rest
	}
	if now.Network != nil && before.Network != nil && after.Network != nil {
		n := now.Network.without(*before.Network, *after.Network)
		s.Network = &n
	}
	s.Firewall = firewall{
		Tables: withoutKeys(now.Firewall.Tables, before.Firewall.Tables, after.Firewall.Tables, equal),
		Legacy: withoutKeys(now.Firewall.Legacy, before.Firewall.Legacy, after.Firewall.Legacy, equal),
		// These are another form of the tables.
		Xtables: withoutKeys(now.Firewall.Xtables, before.Firewall.Xtables, after.Firewall.Xtables, equal),
	}
	s.Sysctls = withoutKeys(now.Sysctls, before.Sysctls, after.Sysctls, equal)
	s.Mounts = withoutMounts(now.Mounts, before.Mounts, after.Mounts)
	s.Nodes = withoutNodes(now.Nodes, before.Nodes, after.Nodes)
	if before.Top.Path != "" && after.Top.Path != "" && !before.Top.equal(after.Top) {
		s.Top = before.Top
	}
	if before.Clock != 0 && after.Clock != 0 && (after.Clock-before.Clock).Abs() > maxClockStep {
		s.Clock = before.Clock
	}
	return s
}

func equal(a, b string) bool { return a == b }

// withoutKeys returns now, with the values of before for the keys whose values differ
// between before and after.
func withoutKeys[V any](now, before, after map[string]V, isEqual func(a, b V) bool) map[string]V {
	if now == nil || before == nil || after == nil {
		return now // it was not read each time
	}
	m := maps.Clone(now)
	for _, key := range keys(before, after) {
		b, had := before[key]
		a, has := after[key]
		switch {
		case had == has && isEqual(a, b):
		case had:
			m[key] = b
		default:
			delete(m, key)
		}
	}
	return m
}

func (n network) without(before, after network) network {
	out := n
	byName := func(list []link) map[string]link {
		m := map[string]link{}
		for _, l := range list {
			m[l.Name] = l
		}
		return m
	}
	links := withoutKeys(byName(n.Links), byName(before.Links), byName(after.Links), link.equal)
	out.Links = nil
	for _, name := range keys(links, nil) {
		out.Links = append(out.Links, links[name])
	}
	lists, old, later := out.kinds(), before.kinds(), after.kinds()
	for i, k := range lists {
		added, removed := subtract(*later[i].list, *old[i].list), subtract(*old[i].list, *later[i].list)
		kept := subtract(*k.list, added)
		*k.list = append(kept, subtract(removed, kept)...)
	}
	return out
}

func withoutMounts(now, before, after []mounts.Mount) []mounts.Mount {
	if now == nil || before == nil || after == nil {
		return now
	}
	list := slices.DeleteFunc(slices.Clone(now), func(m mounts.Mount) bool {
		_, had := findMount(m, before)
		_, has := findMount(m, after)
		return has && !had
	})
	for _, b := range before {
		a, has := findMount(b, after)
		if has && a.Options == b.Options && isReadOnly(a.SuperOptions) == isReadOnly(b.SuperOptions) {
			continue
		}
		list = append(slices.DeleteFunc(list, func(m mounts.Mount) bool { return same(m, b) }), b)
	}
	return list
}

func withoutNodes(now, before, after []node) []node {
	if now == nil || before == nil || after == nil {
		return now
	}
	m := withoutKeys(nodesByPath(now), nodesByPath(before), nodesByPath(after), node.equal)
	var list []node
	for _, p := range keys(m, nil) {
		list = append(list, m[p])
	}
	return list
}
