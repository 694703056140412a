package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// readYAML adds an inventory. Every error is an *Error.
func (g *graph) readYAML(file string, root *yaml.Node, notes *[]Note) error {
	r := yamlReader{graph: g, file: file, notes: notes}
	if root == nil {
		return nil
	}
	if !isMapping(root) {
		return fail(r.at(root), "begin with a group, such as all:", "no mapping of groups")
	}
	if findKey(root, "plugin") != nil {
		return fail(r.at(root), "save what `ansible-inventory --list --yaml` prints, and give that", "the configuration of an inventory plugin, and none are run")
	}
	if findKey(root, "_meta") != nil {
		return fail(r.at(root), "print it with `ansible-inventory --list --yaml`", "the output of an inventory script, not an inventory")
	}
	return r.pairs(root, "the inventory", func(key, value *yaml.Node) error {
		return r.group(key, value, 0)
	})
}

func (r *yamlReader) at(n *yaml.Node) Origin { return Origin{File: r.file, Line: n.Line} }

// group reads the mapping {hosts: …, vars: …, children: …} of a group.
func (r *yamlReader) group(key, value *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fail(r.at(key), "", "groups are written more than %d deep", maxDepth)
	}
	name := key.Value
	if _, err := r.graph.addGroup(name, r.at(key)); err != nil {
		return err
	}
	return r.pairs(value, "group "+name, func(k, v *yaml.Node) error {
		switch k.Value {
		case "hosts":
			return r.hosts(name, v)
		case "vars":
			vars, err := r.vars(v, "vars of group "+name)
			if err != nil {
				return err
			}
			return r.graph.addVars(name, vars)
		case "children":
			return r.pairs(v, "children of group "+name, func(k, v *yaml.Node) error {
				if err := r.group(k, v, depth+1); err != nil {
					return err
				}
				return r.graph.addChild(name, k.Value, r.at(k))
			})
		}
		*r.notes = append(*r.notes, Note{r.at(k), fmt.Sprintf("group %s: %.80q is none of hosts, vars and children, and is passed over", name, k.Value)})
		return nil
	})
}

func (r *yamlReader) hosts(group string, value *yaml.Node) error {
	return r.pairs(value, "hosts of group "+group, func(k, v *yaml.Node) error {
		vars, err := r.vars(v, "host "+k.Value)
		if err != nil {
			return err
		}
		return r.graph.addPattern(k.Value, group, vars, r.at(k))
	})
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
	case n.Tag == "!!null":
		v[name] = variable{name: name, from: at, isNull: true}
	default:
		v.set(name, n.Value, at)
	}
}

// pairs calls f for each pair of a mapping, with aliases and merges expanded. As in
// Ansible null is an empty mapping, and a text is a mapping with one key and no value.
func (r *yamlReader) pairs(n *yaml.Node, what string, f func(k, v *yaml.Node) error) error {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return f(n, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line})
	}
	if n.Kind != yaml.MappingNode {
		return fail(r.at(n), "write each as a key, with a colon behind it", "%.80s: no mapping", what)
	}
	return r.merged(n, 0, map[string]bool{}, f)
}

// merged calls f for the pairs of a mapping, and then for the pairs of merged mappings
// whose keys were not seen yet.
func (r *yamlReader) merged(n *yaml.Node, depth int, seen map[string]bool, f func(k, v *yaml.Node) error) error {
	if depth > maxDepth {
		return fail(r.at(n), "", "mappings are merged more than %d deep", maxDepth)
	}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		// Aliases of aliases can stand for billions of keys ("billion laughs").
		if r.nodes++; r.nodes > maxNodes {
			return fail(r.at(n), "", "more than %d keys, aliases written out", maxNodes)
		}
		k, v := resolve(n.Content[i]), resolve(n.Content[i+1])
		switch {
		case k.Tag == "!!merge" && v.Kind == yaml.SequenceNode:
			merges = append(merges, v.Content...)
			continue
		case k.Tag == "!!merge":
			merges = append(merges, v)
			continue
		case k.Kind != yaml.ScalarNode:
			return fail(r.at(k), "", "a key that is no text")
		case depth > 0 && seen[k.Value]: // a mapping's own keys hide those that it merges
			continue
		}
		seen[k.Value] = true
		if err := f(k, v); err != nil {
			return err
		}
	}
	for _, m := range merges {
		if m = resolve(m); m.Kind != yaml.MappingNode {
			return fail(r.at(m), "", "only mappings can be merged")
		}
		if err := r.merged(m, depth+1, seen, f); err != nil {
			return err
		}
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
