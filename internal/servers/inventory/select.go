package inventory

import (
	"slices"
	"strings"
)

// A Selection is the result of patterns.
type Selection struct {
	Hosts   []Host    // each once, in the order of the matches
	Refused []Refusal // what was selected and cannot be used
	Notes   []Note    // settings of the hosts that were ignored
}

// A Refusal is a host that cannot be used, or a part of an inventory that could not be
// read and may hold more hosts.
type Refusal struct {
	Host   string   // empty for a part of an inventory
	Groups []string // of the host
	Err    *Error
}

// Name returns the host, or the place of the part of an inventory.
func (r Refusal) Name() string {
	if r.Host == "" {
		return r.Err.Origin.String()
	}
	return r.Host
}

// Err returns the reasons of all refusals, equal ones once, or nil if nothing was refused.
func (s Selection) Err() error {
	var errs Errors
	told := map[string]bool{}
	for _, r := range s.Refused {
		// Hosts of a group share its variables, and would repeat an error in them.
		if text := r.Err.Error(); !told[text] {
			told[text] = true
			errs = append(errs, r.Err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return joined(errs)
}

// Select returns the hosts that patterns match. Patterns have Ansible's syntax. A
// destination (user@host:port, ssh://…) and a name of ssh_config are hosts, too, with the
// settings of ssh_config alone. Without an inventory every name is a host.
//
// A pattern without a match is an error, and so are patterns that leave no host. A selected
// host with invalid or unsupported variables is refused. So are the parts of inventories
// that could not be read, unless all patterns are names of hosts. Errors are *Error or
// Errors of them.
func (inv Inventory) Select(patterns []string) (Selection, error) {
	names, areNamed, err := inv.names(patterns)
	if err != nil {
		return Selection{}, err
	}
	s, err := inv.Named(names)
	if err != nil || areNamed {
		return s, err
	}
	for _, fault := range inv.graph.faults {
		s.Refused = append(s.Refused, Refusal{Err: located(fault, "")})
	}
	return s, nil
}

// Named returns the hosts of exact names, such as those of an earlier Selection.
func (inv Inventory) Named(names []string) (Selection, error) {
	var s Selection
	for _, name := range names {
		h, err := inv.host(name)
		if err == nil {
			s.Hosts = append(s.Hosts, h)
			s.Notes = append(s.Notes, h.Notes...)
			continue
		}
		m := inv.graph.hosts[name]
		if m == nil {
			return Selection{}, err
		}
		s.Refused = append(s.Refused, Refusal{name, slices.Sorted(slices.Values(m.groups)), located(err, m.at.File)})
	}
	s.Notes = distinct(s.Notes)
	return s, nil
}

// distinct returns notes without repetitions: hosts of a group share its variables.
func distinct(notes []Note) []Note {
	seen := map[Note]bool{}
	return slices.DeleteFunc(notes, func(n Note) bool {
		defer func() { seen[n] = true }()
		return seen[n]
	})
}

// names returns the names of the hosts that patterns match. areNamed is true if all
// patterns that add hosts are names of hosts.
func (inv Inventory) names(patterns []string) (names []string, areNamed bool, err error) {
	terms, err := parsePatterns(patterns, inv)
	if err != nil {
		return nil, false, err
	}
	c := chosen{has: map[string]bool{}}
	areNamed = true
	for _, t := range terms {
		names, isName, err := inv.match(t, c)
		if err != nil {
			return nil, false, err
		}
		areNamed = areNamed && (isName || t.op != 0)
		c.apply(t.op, names)
	}
	if len(c.names) == 0 {
		err := error(fail(commandLine, "", "%.200q leave no host", strings.Join(patterns, ",")))
		if len(inv.graph.faults) > 0 {
			err = Errors(append([]error{err}, inv.graph.faults...))
		}
		return nil, false, err
	}
	return c.names, areNamed, nil
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

// match returns the hosts that one term matches. isName is true if the term is the name of
// a host.
func (inv Inventory) match(t term, c chosen) (names []string, isName bool, err error) {
	// As in Ansible a name that is both a host and a group is the host, except after "&"
	// and "!".
	isKnown := inv.graph.hosts[t.text] != nil
	if isKnown && (t.op == 0 || inv.graph.groups[t.text] == nil) {
		return []string{t.text}, true, nil
	}
	if isKnown || inv.graph.groups[t.text] != nil {
		names, _, err = inv.matchNames(t.text)
		return names, false, err
	}
	if c.has[t.text] && !isGlob(t.text) { // "h,!h" works for any host
		return []string{t.text}, true, nil
	}
	if inv.isDestination(t.text) || t.op == 0 && inv.isForeignHost(t.text) {
		return []string{t.text}, true, nil
	}
	base, pick := cutSubscript(t.text)
	names, found, err := inv.matchNames(base)
	if err != nil {
		return nil, false, err
	}
	if !found {
		return nil, false, inv.noMatch(t, base)
	}
	if pick != nil && len(names) > 0 {
		if names = pick(names); len(names) == 0 {
			return nil, false, fail(commandLine, "indices count from 0, and [-1] is the last", "%.200q: no host with that index", t)
		}
	}
	return names, false, nil
}

// matchNames returns the hosts of groups whose names match, and the hosts whose own
// names match. As in Ansible a plain name that is a group is not matched with hosts,
// unless it contains a dot. found is false if no name matches.
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
	for _, name := range g.groupOrder {
		if matches(name) {
			add(g.below(name)...)
		}
	}
	if found && !isGlob(text) && !strings.Contains(text, ".") {
		return names, found, nil
	}
	for _, name := range g.hostOrder {
		if matches(name) {
			add(name)
		}
	}
	return names, found, nil
}

func (inv Inventory) host(name string) (Host, error) {
	if m := inv.graph.hosts[name]; m != nil {
		if err := inv.graph.faultOf(m); err != nil {
			return Host{}, err
		}
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
