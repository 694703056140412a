package redact

import (
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yaml marks the secrets that only the structure of a YAML text shows: values beside a
// name, those behind an alias, and those of a Secret of Kubernetes. It reports whether
// the text is YAML. The lines are marked by a scanner.
func (m *marker) yaml() bool {
	if yamlDepth(m.content) > maxDepth {
		return false
	}
	r := yamlReader{marker: m, aliased: map[*yaml.Node]bool{}}
	d := yaml.NewDecoder(strings.NewReader(m.content))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err != nil {
			r.mark()
			return errors.Is(err, io.EOF)
		}
		r.read(&doc, none)
	}
}

// yamlDepth bounds how deep a text is nested, without reading it.
func yamlDepth(s string) int {
	depth, most, line := 0, 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth = max(depth-1, 0)
		case '\n':
			line = i + 1
		case '-', '?', ' ':
			most = max(most, 0)
		}
		most = max(most, depth)
	}
	// Blocks nest by indentation: a line of n blanks is at most n deep.
	for text := range strings.Lines(s[:max(line, 0)]) {
		most = max(most, (len(text)-len(strings.TrimLeft(text, " -?")))/2)
	}
	return most
}

// A yamlReader lists the nodes of a text in their order, with those that are secrets.
type yamlReader struct {
	*marker
	nodes   []yamlNode
	aliased map[*yaml.Node]bool // that are the value of a secret elsewhere
}

type yamlNode struct {
	*yaml.Node
	how  strength
	last int // index of the last node in it
}

// read adds a node and those in it.
func (r *yamlReader) read(n *yaml.Node, how strength) {
	at := len(r.nodes)
	if n.Kind != yaml.DocumentNode {
		r.nodes = append(r.nodes, yamlNode{Node: n, how: how})
	}
	switch n.Kind {
	case yaml.AliasNode:
		if how >= weak && n.Alias != nil {
			r.aliased[n.Alias] = true
		}
	case yaml.MappingNode:
		r.mapping(n, how)
	case yaml.SequenceNode:
		var list nameInList
		for _, child := range n.Content {
			inner := how
			if list.next(child.Value) && child.Kind == yaml.ScalarNode {
				inner = strong
			}
			r.read(child, inner)
		}
	default:
		for _, child := range n.Content {
			r.read(child, how)
		}
	}
	if n.Kind != yaml.DocumentNode {
		r.nodes[at].last = len(r.nodes) - 1
	}
}

func (r *yamlReader) mapping(n *yaml.Node, how strength) {
	isSecret, isKubeSecret := false, false
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := strings.ToLower(k.Value)
		isSecret = isSecret || nameKeys[key] && v.Kind == yaml.ScalarNode && len(v.Value) <= maxName && strengthOf(v.Value) >= weak
		isKubeSecret = isKubeSecret || key == "kind" && v.Value == "Secret"
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		r.read(k, none)
		inner := max(how, strengthOf(k.Value))
		key := strings.ToLower(k.Value)
		if isSecret && valueKeys[key] || isKubeSecret && (key == "data" || key == "stringdata" || key == "binarydata") {
			inner = strong
		}
		r.read(v, inner)
	}
}

// mark hides the secrets, each to the start of the next node that is not in it.
func (r *yamlReader) mark() {
	for i := 0; i < len(r.nodes); i++ {
		n := r.nodes[i]
		isScalar := n.Kind == yaml.ScalarNode
		if r.aliased[n.Node] {
			n.how = strong
		}
		if n.how < weak || n.how == weak && !isScalar {
			continue
		}
		from, end := r.offset(n.Line, n.Column), len(r.content)
		if n.last+1 < len(r.nodes) {
			next := r.nodes[n.last+1]
			end = r.offset(next.Line, next.Column)
		}
		if from >= end {
			continue
		}
		end = from + len(trimNext(r.content[from:end]))
		text := r.content[from:end]
		if first, _, _ := strings.Cut(text, "\n"); isScalar && (r.isHarmless(text, n.how) || r.isHarmless(comment.ReplaceAllString(first, ""), n.how) && strings.Count(text, "\n") == 0) {
			continue
		}
		r.hide(from, end, value)
		if n.how == strong {
			i = n.last
		}
	}
}

// trimNext removes from the end what belongs to the next node: dashes of a list and the
// separators of documents and flows.
func trimNext(s string) string {
	for {
		t := strings.TrimRight(s, " \t\r\n")
		i := strings.LastIndexByte(t, '\n') + 1
		if last := strings.TrimSpace(t[i:]); i > 0 && (last == "-" || last == "?" || last == "---" || strings.HasPrefix(last, "#") || last == "- -") {
			s = t[:i]
			continue
		}
		return t
	}
}

// offset returns the position of a line and column, which count from 1 and characters.
func (r *yamlReader) offset(line, column int) int {
	if line < 1 || line > len(r.starts) {
		return len(r.content)
	}
	at := r.starts[line-1]
	for ; column > 1 && at < len(r.content) && r.content[at] != '\n'; column-- {
		at++
		for at < len(r.content) && r.content[at]&0xc0 == 0x80 {
			at++
		}
	}
	return at
}
