package manifest

import (
	"fmt"
	"strconv"
	"strings"
)

// A step of a field path is a key or an index.
type step struct {
	key   string
	index int    // -1 for a key
	name  string // of the item at the index; empty if it has none or it is not asked for
}

func key(name string) step { return step{key: name, index: -1} }
func item(i int) step      { return step{index: i} }

// namedItem is item for a path that named is called on.
func namedItem(i int, v Value) step {
	name := v.Get("name").Scalar()
	if name == "" {
		name = v.Get("metadata", "name").Scalar()
	}
	return step{index: i, name: name}
}

type path []step

// with returns a new path that is one step longer.
func (p path) with(steps ...step) path {
	longer := make(path, 0, len(p)+len(steps))
	return append(append(longer, p...), steps...)
}

// String formats a path as Kubernetes does: spec.containers[0].image,
// metadata.annotations[adamant.sh/profile].
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.index >= 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case isPlainKey(s.key):
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		case isDigits(s.key) || strings.ContainsAny(s.key, `[]"`):
			b.WriteString("[" + strconv.Quote(s.key) + "]")
		default:
			b.WriteString("[" + s.key + "]")
		}
	}
	return b.String()
}

// named is String with the names of items, as far as they have one.
func (p path) named() string {
	named := make(path, len(p))
	for i, s := range p {
		if s.name != "" {
			s = key(s.name)
		}
		named[i] = s
	}
	return named.String()
}

func isPlainKey(s string) bool {
	if s == "" || isDigits(s) {
		return false
	}
	for _, c := range s {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parsePath parses the format of String.
func parsePath(text string) (path, error) {
	var p path
	rest := text
	for rest != "" {
		if rest[0] == '[' {
			s, tail, err := parseBracket(rest)
			if err != nil {
				return nil, fmt.Errorf("field path %q: %w", text, err)
			}
			p, rest = append(p, s), tail
			continue
		}
		if len(p) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("field path %q: expected . before %q", text, rest)
			}
			rest = rest[1:]
		}
		n := strings.IndexAny(rest, ".[")
		if n < 0 {
			n = len(rest)
		}
		if n == 0 {
			return nil, fmt.Errorf("field path %q: empty name", text)
		}
		p, rest = append(p, key(rest[:n])), rest[n:]
	}
	return p, nil
}

func parseBracket(text string) (step, string, error) {
	if strings.HasPrefix(text, `["`) {
		quoted, err := strconv.QuotedPrefix(text[1:])
		if err != nil || !strings.HasPrefix(text[1+len(quoted):], "]") {
			return step{}, "", fmt.Errorf("bad quoted key")
		}
		name, _ := strconv.Unquote(quoted)
		return key(name), text[len(quoted)+2:], nil
	}
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return step{}, "", fmt.Errorf("no ] after [")
	}
	inner := text[1:end]
	if isDigits(inner) && inner != "" {
		i, err := strconv.Atoi(inner)
		if err != nil {
			return step{}, "", fmt.Errorf("bad index %q", inner)
		}
		return item(i), text[end+1:], nil
	}
	return key(inner), text[end+1:], nil
}

// find follows a path as far as it exists. It returns the last node and the
// number of steps.
func (n *node) find(p path) (*node, int) {
	for i, s := range p {
		at := n.resolved()
		if s.index >= 0 {
			if at.kind != sequenceNode || s.index >= len(at.children) {
				return n, i
			}
			n = at.children[s.index]
			continue
		}
		e, ok := at.get(s.key)
		if !ok {
			return n, i
		}
		n = e.value
	}
	return n, len(p)
}

// findKey is find, but returns the position of the key if the path ends in one,
// because readers search for a field by its name.
func (n *node) findKey(p path) *node {
	found, steps := n.find(p)
	if steps == 0 {
		return found
	}
	last := p[steps-1]
	if last.index >= 0 {
		return found
	}
	parent, _ := n.find(p[:steps-1])
	if e, ok := parent.get(last.key); ok {
		return e.key
	}
	return found
}
