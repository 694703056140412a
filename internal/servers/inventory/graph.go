package inventory

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	groupAll       = "all"
	groupUngrouped = "ungrouped"
)

// A graph is the content of inventories: hosts and groups with their variables. A group
// contains hosts and other groups. Both keep the order in which they were first named.
type graph struct {
	groups     map[string]*group
	groupOrder []string
	hosts      map[string]*member
	hostOrder  []string
	named      int
	edges      int
	faults     []error // parts of inventories that could not be read and concern no known host
}

type group struct {
	name     string
	hosts    []string
	has      map[string]bool // hosts
	above    map[string]bool // children
	children []edge
	parents  []string
	inline   []variables // in the order of the inventories; later ones take precedence
	files    []variables // group_vars
	priority int
	depth    int   // length of the longest path from "all"
	fault    error // why its hosts cannot be used
}

// An edge leads from a group to one of its children.
type edge struct {
	child string
	at    Origin
}

type member struct {
	name   string
	at     Origin
	groups []string
	inline []variables
	files  []variables // host_vars
	fault  error       // why it cannot be used
}

func newGraph() *graph {
	g := &graph{groups: map[string]*group{}, hosts: map[string]*member{}}
	all, ungrouped := g.group(groupAll), g.group(groupUngrouped)
	all.children, all.above[groupUngrouped] = []edge{{child: groupUngrouped}}, true
	ungrouped.parents = []string{groupAll}
	return g
}

// group returns the group of a name, and creates it if there is none.
func (g *graph) group(name string) *group {
	if found := g.groups[name]; found != nil {
		return found
	}
	made := &group{name: name, has: map[string]bool{}, above: map[string]bool{}, priority: 1}
	g.groups[name] = made
	g.groupOrder = append(g.groupOrder, name)
	return made
}

func (g *graph) addGroup(name string, at Origin) (*group, error) {
	if err := checkName("group", name, at); err != nil {
		return nil, err
	}
	if len(g.groups) >= maxGroups && g.groups[name] == nil {
		return nil, exceed(at, "more than %d groups", maxGroups)
	}
	return g.group(name), nil
}

// addHost adds a host to a group, with another layer of variables.
func (g *graph) addHost(name, groupName string, vars definition, at Origin) error {
	if err := checkName("host", name, at); err != nil {
		return err
	}
	if g.named++; g.named > maxNamed {
		return exceed(at, "hosts are named more than %d times", maxNamed)
	}
	host := g.hosts[name]
	if host == nil {
		if len(g.hosts) >= maxHosts {
			return exceed(at, "more than %d hosts", maxHosts)
		}
		host = &member{name: name, at: at}
		g.hosts[name] = host
		g.hostOrder = append(g.hostOrder, name)
		// In Ansible the port behind a name counts only where the host is named first.
		if vars.port != 0 {
			host.inline = append(host.inline, variables{}.withPort(vars.port, at))
		}
	}
	if host.fault == nil {
		host.fault = vars.fault
	}
	g.addMember(host, groupName)
	if len(vars.variables) == 0 {
		return nil
	}
	// Ansible looks up groups before hosts, and gives the variables of a host that has
	// the name of a group to that group.
	if g.groups[name] != nil {
		g.addVars(name, vars.variables)
		return nil
	}
	host.inline = append(host.inline, vars.variables)
	return nil
}

// A definition is everything that a line or a key defines about hosts.
type definition struct {
	variables variables
	port      int   // behind the name; 0 if there is none
	fault     error // why the hosts cannot be used
}

func (g *graph) addMember(host *member, groupName string) {
	in := g.group(groupName)
	if in.has[host.name] {
		return
	}
	in.has[host.name] = true
	in.hosts = append(in.hosts, host.name)
	// Every host is in "all", which does not make it grouped.
	if groupName != groupAll {
		host.groups = append(host.groups, groupName)
	}
}

func (g *graph) addChild(parent, child string, at Origin) error {
	p := g.group(parent)
	if p.above[child] {
		return nil
	}
	p.above[child] = true
	if g.edges++; g.edges > maxEdges {
		return exceed(at, "groups have more than %d children", maxEdges)
	}
	p.children = append(p.children, edge{child, at})
	g.group(child).parents = append(g.group(child).parents, parent)
	return nil
}

// addVars adds a layer of variables to a group. The group's priority is one of them.
func (g *graph) addVars(groupName string, vars variables) {
	in := g.group(groupName)
	if v, ok := vars[varPriority]; ok {
		n, err := strconv.Atoi(v.text)
		if err != nil || v.refused != "" {
			g.blame(in, fail(v.from, "write a number", "%s: no number", varPriority))
		}
		in.priority = n
	}
	in.inline = append(in.inline, vars)
}

// blame makes the hosts of a group unusable for a reason, unless there is one already.
func (g *graph) blame(in *group, err error) {
	if in.fault == nil {
		in.fault = err
	}
}

func checkName(what, name string, at Origin) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return fail(at, "", "%.80q is no name of a %s", name, what)
	}
	return nil
}

// finish adds hosts without a group to "ungrouped" and groups without a parent to
// "all", and sets the depth of each group. Groups that contain themselves are taken out
// of each other, and their hosts are not usable.
func (g *graph) finish() error {
	for _, name := range g.hostOrder {
		if host := g.hosts[name]; len(host.groups) == 0 {
			in := g.group(groupUngrouped)
			in.hosts = append(in.hosts, name)
			host.groups = []string{groupUngrouped}
		}
	}
	g.pruneUngrouped()
	for _, name := range g.groupOrder[1:] {
		if len(g.groups[name].parents) == 0 {
			if err := g.addChild(groupAll, name, Origin{}); err != nil {
				return err
			}
		}
	}
	return g.setDepths()
}

// pruneUngrouped removes hosts from "ungrouped" that are in another group, too.
func (g *graph) pruneUngrouped() {
	in := g.groups[groupUngrouped]
	in.hosts = slices.DeleteFunc(in.hosts, func(name string) bool {
		host := g.hosts[name]
		if len(host.groups) == 1 {
			return false
		}
		host.groups = slices.DeleteFunc(host.groups, func(name string) bool { return name == groupUngrouped })
		return true
	})
}

// ancestry returns all groups of a host, the one with the lowest precedence first: by
// depth, then priority, then name, as in Ansible.
func (g *graph) ancestry(host *member) []*group {
	seen := map[*group]bool{g.groups[groupAll]: true}
	queue := slices.Clone(host.groups)
	for i := 0; i < len(queue); i++ {
		in := g.groups[queue[i]]
		if !seen[in] {
			seen[in] = true
			queue = append(queue, in.parents...)
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.priority, b.priority), strings.Compare(a.name, b.name))
	})
}

// below returns the hosts of a group and of all groups below it, group by group in
// breadth-first order.
func (g *graph) below(name string) []string {
	var hosts []string
	seenGroup, seenHost := map[string]bool{name: true}, map[string]bool{}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		in := g.groups[queue[0]]
		for _, h := range in.hosts {
			if !seenHost[h] {
				seenHost[h] = true
				hosts = append(hosts, h)
			}
		}
		for _, e := range in.children {
			if !seenGroup[e.child] {
				seenGroup[e.child] = true
				queue = append(queue, e.child)
			}
		}
	}
	return hosts
}

// allFaults returns the faults that concern no host, and those of groups.
func (g *graph) allFaults() []error {
	all := slices.Clone(g.faults)
	for _, name := range g.groupOrder {
		if err := g.groups[name].fault; err != nil && !slices.Contains(all, err) {
			all = append(all, err)
		}
	}
	return all
}

// faultOf returns why a host cannot be used, nil if it can.
func (g *graph) faultOf(host *member) error {
	if host.fault != nil {
		return host.fault
	}
	for _, in := range g.ancestry(host) {
		if in.fault != nil {
			return in.fault
		}
	}
	return nil
}

// variablesOf merges the variables of a host in the order of Ansible's precedence:
// inventories about its groups, group_vars/all, other group_vars, inventories
// about the host, host_vars.
func (g *graph) variablesOf(host *member) variables {
	merged := variables{}
	groups := g.ancestry(host)
	for _, in := range groups {
		merged.add(in.inline...)
	}
	for _, in := range groups {
		merged.add(in.files...) // "all" has depth 0 and is first
	}
	merged.add(host.inline...)
	merged.add(host.files...)
	return merged
}
