package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlQuoted = regexp.MustCompile(`'[^']*'`)
)

// parseYAML returns the only document of a file, nil if the file is empty.
func parseYAML(file string, data []byte) (root *yaml.Node, err error) {
	at := Origin{File: file}
	defer func() {
		// The parser is not ours, and the file may be hostile.
		if p := recover(); p != nil {
			root, err = nil, fail(at, "", "not YAML: the parser gave up")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err = d.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if more := d.Decode(&second); more == nil {
			at.Line = second.Line
			return nil, fail(at, "keep one in each file", "more than one document")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	if err != nil {
		return nil, yamlError(at, err)
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	return document.Content[0], nil
}

// yamlError returns an error with the place where a file is not YAML. Words of the
// file are left out, because they may be part of a password.
func yamlError(at Origin, err error) error {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return fail(at, "", "not YAML: %s", yamlQuoted.ReplaceAllString(text, "'…'"))
}

// A yamlReader reads an inventory in Ansible's YAML format into a graph.
type yamlReader struct {
	graph *graph
	file  string
	nodes int // visited, with aliases expanded
	notes *[]Note
}

// readYAML adds an inventory. What cannot be read is added to the faults of the graph or
// of the hosts and groups that it concerns. The error is that of a file without groups, or
// of an exceeded bound.
func (g *graph) readYAML(file string, root *yaml.Node, notes *[]Note) error {
	r := yamlReader{graph: g, file: file, notes: notes}
	if root == nil {
		return nil
	}
	if !isMapping(root) {
		return fail(r.at(root), "begin with a group, such as all:", "no mapping of groups")
	}
	if plugin := findKey(root, "plugin"); plugin != nil && !isEmpty(resolve(plugin)) {
		return fail(r.at(root), "save what `ansible-inventory --list --yaml` prints, and give that", "the configuration of an inventory plugin, and none are run")
	}
	if findKey(root, "_meta") != nil {
		return fail(r.at(root), "print it with `ansible-inventory --list --yaml`", "the output of an inventory script, not an inventory")
	}
	return r.pairs(root, "the inventory", func(key, value *yaml.Node) error {
		return r.skip(r.group(key, value, 0))
	})
}

func (r *yamlReader) at(n *yaml.Node) Origin { return Origin{File: r.file, Line: n.Line} }

// skip records an error that concerns no known host, and returns others.
func (r *yamlReader) skip(err error) error {
	if err != nil && !endsReading(err) {
		r.graph.faults = append(r.graph.faults, err)
		return nil
	}
	return err
}

func (r *yamlReader) note(n *yaml.Node, format string, args ...any) {
	*r.notes = append(*r.notes, Note{r.at(n), fmt.Sprintf(format, args...)})
}

// group reads the mapping {hosts: …, vars: …, children: …} of a group.
func (r *yamlReader) group(key, value *yaml.Node, depth int) error {
	if depth > maxDepth {
		return exceed(r.at(key), "groups are written more than %d deep", maxDepth)
	}
	name := key.Value
	if value = resolve(value); value.Kind != yaml.MappingNode && value.Tag != "!!null" {
		r.note(value, "%.80q is no mapping of a group, and is ignored", name)
		return nil
	}
	if err := checkKey("group", key, r.at(key)); err != nil {
		return err
	}
	if _, err := r.graph.addGroup(name, r.at(key)); err != nil {
		return err
	}
	return r.pairs(value, "group "+name, func(k, v *yaml.Node) error {
		switch k.Value {
		case "hosts":
			return r.skip(r.hosts(name, v))
		case "vars":
			vars, err := r.vars(v, "vars of group "+name)
			if err != nil && !endsReading(err) {
				r.graph.blame(r.graph.group(name), err)
				return nil
			}
			r.graph.addVars(name, vars)
			return err
		case "children":
			return r.skip(r.children(name, v, depth))
		}
		r.note(k, "group %s: %.80q is none of hosts, vars and children, and is ignored", name, k.Value)
		return nil
	})
}

func (r *yamlReader) children(name string, value *yaml.Node, depth int) error {
	return r.section(value, "children of group "+name, func(k, v *yaml.Node) error {
		if err := r.group(k, v, depth+1); err != nil || r.graph.groups[k.Value] == nil {
			return r.skip(err)
		}
		return r.graph.addChild(name, k.Value, r.at(k))
	})
}

func (r *yamlReader) hosts(group string, value *yaml.Node) error {
	return r.section(value, "hosts of group "+group, func(k, v *yaml.Node) error {
		if err := checkKey("host", k, r.at(k)); err != nil {
			return r.skip(err)
		}
		d := definition{}
		if !isEmpty(resolve(v)) {
			if d.variables, d.fault = r.vars(v, "host "+k.Value); endsReading(d.fault) {
				return d.fault
			}
		}
		return r.skip(r.graph.addPattern(k.Value, group, d, r.at(k)))
	})
}

// checkKey returns an error if the name of a host or group is not a text. Ansible does not
// accept numbers.
func checkKey(what string, key *yaml.Node, at Origin) error {
	if isPythonText(key) {
		return nil
	}
	return fail(at, "quote it", "%.80q is a number or another value, and no name of a %s", key.Value, what)
}

// isEmpty reports whether a value is empty to Python: null, false, zero, or without
// content.
func isEmpty(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return len(n.Content) == 0
	}
	text, isNull := pythonText(n)
	return isNull || text == "" || !isPythonText(n) && (text == "False" || text == "0" || text == "0.0")
}

// vars returns the variables of a mapping that are about connections.
func (r *yamlReader) vars(value *yaml.Node, what string) (variables, error) {
	vars := variables{}
	err := r.pairs(value, what, func(k, v *yaml.Node) error {
		if isConnectionVariable(k.Value) {
			vars.setNode(k.Value, v, r.at(v))
		}
		return nil
	})
	return vars, err
}

// setNode stores the value of a node.
func (v variables) setNode(name string, n *yaml.Node, at Origin) {
	n = resolve(n)
	switch {
	case n.Tag == "!vault" || n.Tag == "!vault-encrypted":
		v.set(name, "$ANSIBLE_VAULT", at)
	case n.Kind != yaml.ScalarNode:
		value := variable{name: name, from: at}
		value.refuse("is a list or a mapping", "write one value")
		v[name] = value
	default:
		text, isNull := pythonText(n)
		if isNull {
			v[name] = variable{name: name, from: at, isNull: true}
			return
		}
		v.set(name, text, at)
	}
}

// section calls f for each pair of a mapping. As in Ansible a text is a mapping with one
// key and no value.
func (r *yamlReader) section(n *yaml.Node, what string, f func(k, v *yaml.Node) error) error {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return f(n, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line})
	}
	return r.pairs(n, what, f)
}

// pairs calls f for each pair of a mapping, with aliases and merges expanded. Null is an
// empty mapping.
func (r *yamlReader) pairs(n *yaml.Node, what string, f func(k, v *yaml.Node) error) error {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fail(r.at(n), "write each as a key, with a colon behind it", "%.80s: no mapping", what)
	}
	var m orderedMap
	if err := r.flatten(n, 0, &m); err != nil {
		return err
	}
	for _, p := range m.pairs {
		if err := f(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// An orderedMap has the semantics of Python's dictionaries: a key that is set again keeps
// its place and gets the later value.
type orderedMap struct {
	pairs []pair
	index map[string]int
}

type pair struct{ key, value *yaml.Node }

func (m *orderedMap) set(key, value *yaml.Node) {
	if m.index == nil {
		m.index = map[string]int{}
	}
	if i, ok := m.index[key.Tag+key.Value]; ok {
		m.pairs[i].value = value
		return
	}
	m.index[key.Tag+key.Value] = len(m.pairs)
	m.pairs = append(m.pairs, pair{key, value})
}

// flatten adds the pairs of merged mappings, the first of several last, and then those of
// the mapping itself.
func (r *yamlReader) flatten(n *yaml.Node, depth int, m *orderedMap) error {
	if depth > maxDepth {
		return exceed(r.at(n), "mappings are merged more than %d deep", maxDepth)
	}
	var own []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		// Aliases of aliases can stand for billions of keys ("billion laughs").
		if r.nodes++; r.nodes > maxNodes {
			return exceed(r.at(n), "more than %d keys, aliases written out", maxNodes)
		}
		k, v := resolve(n.Content[i]), resolve(n.Content[i+1])
		if k.Kind != yaml.ScalarNode {
			return fail(r.at(k), "", "a key that is no text")
		}
		if k.Tag != "!!merge" {
			own = append(own, k, v)
			continue
		}
		merged := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			merged = v.Content
		}
		for _, from := range slices.Backward(merged) {
			if from = resolve(from); from.Kind != yaml.MappingNode {
				return fail(r.at(from), "", "only mappings can be merged")
			}
			if err := r.flatten(from, depth+1, m); err != nil {
				return err
			}
		}
	}
	for i := 0; i < len(own); i += 2 {
		m.set(own[i], own[i+1])
	}
	return nil
}

// resolve follows aliases and returns the node that is not an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// findKey returns the value of a key of a mapping, nil if there is none.
func findKey(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func isMapping(n *yaml.Node) bool { return resolve(n).Kind == yaml.MappingNode }
