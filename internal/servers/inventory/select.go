package inventory

import (
	"slices"
	"strings"
)

// Select returns the hosts that patterns match, each once, in the order of the matches.
// Patterns have Ansible's syntax. A destination (user@host:port, [ipv6]:port, ssh://…)
// and a name that is in no inventory are hosts, too, with the settings of ssh_config
// alone.
//
// A pattern without a match is an error, and so are patterns that leave no host, and a
// selected host with invalid or unsupported variables. Errors are *Error or Errors of
// them.
func (inv Inventory) Select(patterns []string) ([]Host, error) {
	names, err := inv.names(patterns)
	if err != nil {
		return nil, err
	}
	return inv.resolve(names)
}

// names returns the names of the hosts that patterns match.
func (inv Inventory) names(patterns []string) ([]string, error) {
	terms, err := parsePatterns(patterns, inv.knows)
	if err != nil {
		return nil, err
	}
	c := chosen{has: map[string]bool{}}
	for _, t := range terms {
		names, err := inv.match(t, c)
		if err != nil {
			return nil, err
		}
		c.apply(t.op, names)
	}
	if len(c.names) == 0 {
		return nil, fail(commandLine, "", "%.200q leave no host", strings.Join(patterns, ","))
	}
	return c.names, nil
}

// chosen is an ordered set of names.
type chosen struct {
	names []string
	has   map[string]bool
}

func (c *chosen) apply(op byte, names []string) {
	if op == 0 {
		for _, name := range names {
			if !c.has[name] {
				c.has[name] = true
				c.names = append(c.names, name)
			}
		}
		return
	}
	listed := map[string]bool{}
	for _, name := range names {
		listed[name] = true
	}
	// "!" removes the listed names, "&" all others.
	c.names = slices.DeleteFunc(c.names, func(name string) bool { return listed[name] == (op == '!') })
	for name := range c.has {
		if listed[name] == (op == '!') {
			delete(c.has, name)
		}
	}
}

// knows reports whether a name is that of a host or group.
func (inv Inventory) knows(name string) bool {
	return inv.graph.hosts[name] != nil || inv.graph.groups[name] != nil
}

// match returns the hosts that one term matches.
func (inv Inventory) match(t term, c chosen) ([]string, error) {
	if isDestination(t.text, inv.knows) {
		return []string{t.text}, nil
	}
	// The name of a host or group may look like a pattern with a subscript.
	base, pick := t.text, (func([]string) []string)(nil)
	if !inv.knows(base) {
		base, pick = cutSubscript(t.text)
	}
	names, found, err := inv.matchNames(base)
	if err != nil {
		return nil, err
	}
	if pick != nil && found {
		if names = pick(names); len(names) == 0 {
			return nil, fail(commandLine, "indices count from 0, and [-1] is the last", "%.200q: no host with that index", t)
		}
	}
	if found || pick == nil && c.has[base] {
		return append(names, unlistedNames(c, base, found)...), nil
	}
	if t.op == 0 && pick == nil && inv.isPlausibleHost(base) {
		return []string{base}, nil
	}
	return nil, inv.noMatch(t, base)
}

// unlistedNames returns a name that is in no inventory, if an earlier term added it. So
// "h,!h" works for any host.
func unlistedNames(c chosen, name string, found bool) []string {
	if found || !c.has[name] {
		return nil
	}
	return []string{name}
}

// matchNames returns the hosts of groups whose names match, and the hosts whose own
// names match. As in Ansible a plain name that is a group is not matched with hosts.
// found is false if no name matches.
func (inv Inventory) matchNames(text string) (names []string, found bool, err error) {
	matches, err := matcher(text)
	if err != nil {
		return nil, false, err
	}
	g := inv.graph
	seen := map[string]bool{}
	add := func(hosts ...string) {
		for _, h := range hosts {
			if !seen[h] {
				seen[h] = true
				names = append(names, h)
			}
		}
		found = true
	}
	if !isGlob(text) {
		if g.groups[text] != nil {
			add(g.below(text)...)
		} else if g.hosts[text] != nil {
			add(text)
		}
		return names, found, nil
	}
	for _, name := range g.groupOrder {
		if matches(name) {
			add(g.below(name)...)
		}
	}
	for _, name := range g.hostOrder {
		if matches(name) {
			add(name)
		}
	}
	return names, found, nil
}

// resolve returns the hosts of names, or the errors of all of them, equal ones once.
func (inv Inventory) resolve(names []string) ([]Host, error) {
	hosts := make([]Host, 0, len(names))
	var errs Errors
	told := map[string]bool{}
	for _, name := range names {
		// Hosts of a group share its variables, and would repeat an error in them.
		h, err := inv.host(name)
		if err == nil {
			hosts = append(hosts, h)
		} else if !told[err.Error()] {
			told[err.Error()] = true
			errs = append(errs, err)
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return hosts, nil
}

func (inv Inventory) host(name string) (Host, error) {
	if m := inv.graph.hosts[name]; m != nil {
		return inv.resolver.member(m, inv.graph.variablesOf(m))
	}
	d, err := parseDestination(name, commandLine)
	if err != nil {
		return Host{}, err
	}
	h, err := inv.resolver.host(d.host, d.settings(commandLine), commandLine)
	h.Name = strings.TrimSuffix(strings.TrimPrefix(name, "ssh://"), "/")
	return h, err
}
