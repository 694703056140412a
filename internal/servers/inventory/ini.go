package inventory

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// section matches a line "[group]", "[group:children]" or "[group:vars]".
var section = regexp.MustCompile(`^\[([^:\]\s]+)(?::([\pL\pN_]+))?\]\s*(?:#.*)?$`)

// childLine matches a line of a section of children.
var childLine = regexp.MustCompile(`^([^:\]\s]+)\s*(?:#.*)?$`)

const sectionHint = "write [group], [group:children] or [group:vars]"

// The kinds of sections.
const (
	kindHosts    = "hosts"
	kindChildren = "children"
	kindVars     = "vars"
	kindSkipped  = "" // its header could not be read
)

// An iniReader reads an inventory in Ansible's INI format into a graph. As in Ansible
// groups, links and variables are added in the order of the lines, because the order of
// hosts and groups has a meaning for patterns.
type iniReader struct {
	graph   *graph
	at      Origin // of the current line
	group   string
	kind    string // of the section
	pending []pendingGroup
}

// A pendingGroup is a group that was named by others but not yet defined by a section.
type pendingGroup struct {
	name    string
	at      Origin
	parents []string // the groups that contain it; none if it only has variables
}

// readINI adds an inventory. What cannot be read is added to the faults of the graph or
// of the hosts and groups that it concerns. The error is that of an exceeded bound.
func (g *graph) readINI(file string, data []byte) error {
	r := iniReader{graph: g, at: Origin{File: file}, group: groupUngrouped, kind: kindHosts}
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		r.at.Line++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if err := r.line(line); endsReading(err) {
			return err
		} else if err != nil {
			g.faults = append(g.faults, err)
		}
	}
	for _, p := range r.pending {
		g.faults = append(g.faults, fail(p.at, "add a section for it, or correct the name", "there is no group %.80q", p.name))
	}
	return nil
}

// line reads a line. Its error concerns no host that is known.
func (r *iniReader) line(line string) error {
	if !utf8.ValidString(line) {
		return fail(r.at, "save the file as UTF-8", "the line is not UTF-8")
	}
	if m := section.FindStringSubmatch(line); m != nil {
		return r.begin(m[1], m[2])
	}
	if line[0] == '[' && !beginsWithHost(line) {
		r.kind = kindSkipped
		return fail(r.at, sectionHint, "%.80q is no section, so the lines below it are not read", line)
	}
	switch r.kind {
	case kindVars:
		r.assignment(line)
	case kindChildren:
		return r.child(line)
	case kindHosts:
		return r.host(line)
	}
	return nil
}

// beginsWithHost reports whether a line that begins with a bracket is about hosts: a range
// such as [1:3].example.org, or an IPv6 address in brackets.
func beginsWithHost(line string) bool {
	first := strings.Fields(line)[0]
	if _, _, ok := cutBrackets(first); ok {
		return true
	}
	_, _, ok := cutPort(first)
	return ok && !strings.HasSuffix(line, "]")
}

func (r *iniReader) begin(name, kind string) error {
	if kind == "" {
		kind = kindHosts
	}
	if kind != kindHosts && kind != kindChildren && kind != kindVars {
		r.kind = kindSkipped
		return fail(r.at, sectionHint, "a section of %.80q does not exist, so the lines below it are not read", kind)
	}
	r.group, r.kind = name, kindSkipped
	isPending := r.pendingIndex(name) >= 0
	if kind == kindVars && !isPending && r.graph.groups[name] == nil {
		r.pending = append(r.pending, pendingGroup{name: name, at: r.at})
	}
	if _, err := r.graph.addGroup(name, r.at); err != nil {
		return err
	}
	r.kind = kind
	if kind == kindVars || !isPending {
		return nil
	}
	return r.define(name)
}

func (r *iniReader) pendingIndex(name string) int {
	return slices.IndexFunc(r.pending, func(p pendingGroup) bool { return p.name == name })
}

// define adds a pending group to its parents.
func (r *iniReader) define(name string) error {
	i := r.pendingIndex(name)
	p := r.pending[i]
	r.pending = slices.Delete(r.pending, i, i+1)
	for _, parent := range p.parents {
		if err := r.graph.addChild(parent, name, p.at); err != nil {
			return err
		}
	}
	return nil
}

// assignment reads "name = value". As in Ansible a "#" after the value belongs to it. A
// line that is no assignment may have set anything, so the group cannot be used.
func (r *iniReader) assignment(line string) {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		r.graph.blame(r.graph.group(r.group), fail(r.at, "write name=value, or begin a comment with #", "a variable without a value"))
		return
	}
	vars := variables{}
	vars.setLiteral(strings.TrimSpace(name), strings.TrimSpace(value), r.at)
	if len(vars) > 0 {
		r.graph.addVars(r.group, vars)
	}
}

func (r *iniReader) child(line string) error {
	m := childLine.FindStringSubmatch(line)
	if m == nil {
		return fail(r.at, "write the name of a group, and nothing else", "%.80q is no group", line)
	}
	if r.graph.groups[m[1]] != nil {
		return r.graph.addChild(r.group, m[1], r.at)
	}
	if i := r.pendingIndex(m[1]); i >= 0 {
		r.pending[i].parents = append(r.pending[i].parents, r.group)
		return nil
	}
	r.pending = append(r.pending, pendingGroup{m[1], r.at, []string{r.group}})
	return nil
}

// host reads "pattern name=value …". If only its variables cannot be read, the hosts are
// known and cannot be used.
func (r *iniReader) host(line string) error {
	words, err := shellWords(line, true)
	if err != nil {
		pattern := strings.Fields(line)[0]
		err = fail(r.at, "quote values as in a shell", "%v", err)
		if strings.ContainsAny(pattern, `'"\`) {
			return err
		}
		return r.graph.addPattern(pattern, r.group, definition{fault: err}, r.at)
	}
	if len(words) == 0 {
		return nil
	}
	if pattern := words[0]; pattern == "---" {
		return fail(r.at, "give a file of YAML the extension .yml", "%q begins a file of YAML", pattern)
	}
	d := definition{variables: variables{}}
	for i, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			// The word is not shown: it may be half of a password.
			d.fault = fail(r.at, "write name=value, and quote values with spaces", "word %d is no variable", i+2)
			break
		}
		d.variables.setLiteral(name, value, r.at)
	}
	return r.graph.addPattern(words[0], r.group, d, r.at)
}

// addPattern adds the hosts of a pattern such as "web[1:3]:22".
func (g *graph) addPattern(pattern, groupName string, d definition, at Origin) error {
	host, port, ok := cutPort(pattern)
	if inner, after, isIP := cutBrackets(pattern); isIP && after == "" {
		host, ok = inner, true
	}
	if !ok && strings.HasSuffix(pattern, ":") {
		return fail(at, "write host or host:port", "%.80q is no host with a port", pattern)
	}
	if n, err := strconv.ParseUint(port, 10, 31); err == nil {
		d.port = int(n)
	}
	names, err := expandRanges(host, at)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := g.addHost(name, groupName, d, at); err != nil {
			return err
		}
	}
	return nil
}
