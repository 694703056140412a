package inventory

import (
	"regexp"
	"strings"
)

// section matches a line "[group]", "[group:children]" or "[group:vars]".
var section = regexp.MustCompile(`^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$`)

// childLine matches a line of a section of children.
var childLine = regexp.MustCompile(`^([^:\]\s]+)\s*(?:#.*)?$`)

const sectionHint = "write [group], [group:children] or [group:vars]"

// An iniReader reads an inventory in Ansible's INI format into a graph.
type iniReader struct {
	graph *graph
	at    Origin // of the current line
	group string
	kind  string // of the section: "" for hosts, "children" or "vars"
	// These name groups that may be defined further down, so they are added at the
	// end.
	links  []link
	blocks []varsBlock
}

type link struct {
	parent, child string
	at            Origin
}

type varsBlock struct {
	group string
	vars  variables
	at    Origin
}

// readINI adds an inventory. Every error is an *Error.
func (g *graph) readINI(file string, data []byte) error {
	r := iniReader{graph: g, at: Origin{File: file}, group: groupUngrouped}
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		r.at.Line++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if err := r.line(line); err != nil {
			return err
		}
	}
	return r.finish()
}

func (r *iniReader) line(line string) error {
	if m := section.FindStringSubmatch(line); m != nil {
		return r.begin(m[1], m[2])
	}
	// A line of hosts may begin with an IPv6 address in brackets.
	if first, _, _ := strings.Cut(line, " "); first[0] == '[' {
		if _, _, ok := cutBrackets(first); !ok || r.kind != "" {
			return fail(r.at, sectionHint, "%.80q is no section", line)
		}
	}
	switch r.kind {
	case "vars":
		return r.assignment(line)
	case "children":
		return r.child(line)
	}
	return r.host(line)
}

func (r *iniReader) begin(name, kind string) error {
	r.group, r.kind = name, kind
	switch kind {
	case "vars":
		r.blocks = append(r.blocks, varsBlock{name, variables{}, r.at})
		return nil
	case "", "children":
		_, err := r.graph.addGroup(name, r.at)
		return err
	}
	return fail(r.at, sectionHint, "a section of %.80q does not exist", kind)
}

// assignment parses "name = value". As in Ansible a "#" after the value belongs to it.
func (r *iniReader) assignment(line string) error {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return fail(r.at, "write name=value, or begin a comment with #", "a variable without a value")
	}
	r.blocks[len(r.blocks)-1].vars.set(strings.TrimSpace(name), literal(value), r.at)
	return nil
}

func (r *iniReader) child(line string) error {
	m := childLine.FindStringSubmatch(line)
	if m == nil {
		return fail(r.at, "write the name of a group, and nothing else", "%.80q is no group", line)
	}
	r.links = append(r.links, link{r.group, m[1], r.at})
	return nil
}

// host parses "pattern name=value …".
func (r *iniReader) host(line string) error {
	words, err := shellWords(line, true)
	if err != nil {
		return fail(r.at, "quote values as in a shell", "%v", err)
	}
	if len(words) == 0 {
		return nil
	}
	vars := variables{}
	for i, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			// The word is not shown: it may be half of a password.
			return fail(r.at, "write name=value, and quote values with spaces", "word %d is no variable", i+2)
		}
		vars.set(name, literal(value), r.at)
	}
	return r.graph.addPattern(words[0], r.group, vars, r.at)
}

// addPattern adds the hosts of a pattern such as "web[1:3]:22".
func (g *graph) addPattern(pattern, groupName string, vars variables, at Origin) error {
	pattern, port, err := cutPort(pattern, at)
	if err != nil {
		return err
	}
	names, err := expandRanges(pattern, at)
	if err != nil {
		return err
	}
	// A variable for the port overrides the port behind the name.
	all := variables{}
	if port != 0 {
		all.setPort(port, at)
	}
	all.add(vars)
	for _, name := range names {
		if err := g.addHost(name, groupName, all, at); err != nil {
			return err
		}
	}
	return nil
}

// finish adds the links between groups and the variables of groups. All groups must be
// defined by then.
func (r *iniReader) finish() error {
	known := func(name string, at Origin) error {
		if r.graph.groups[name] == nil {
			return fail(at, "add a section for it, or correct the name", "there is no group %.80q", name)
		}
		return nil
	}
	for _, l := range r.links {
		if err := known(l.child, l.at); err != nil {
			return err
		}
		if err := r.graph.addChild(l.parent, l.child, l.at); err != nil {
			return err
		}
	}
	for _, b := range r.blocks {
		if err := known(b.group, b.at); err != nil {
			return err
		}
		if err := r.graph.addVars(b.group, b.vars); err != nil {
			return err
		}
	}
	return nil
}
