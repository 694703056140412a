package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the root of each document that is not empty.
func parseYAML(name string, t *text, ambiguous *Errors) ([]*node, error) {
	if root := parsePlain(t.data); root != nil {
		return []*node{root}, nil
	}
	return parseAnyYAML(name, t, ambiguous)
}

// parseAnyYAML is parseYAML with the YAML parser.
func parseAnyYAML(name string, t *text, ambiguous *Errors) ([]*node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(t.data))
	c := &converter{name: name, text: t, ambiguous: ambiguous, made: map[*yaml.Node]*node{}}
	var roots []*node
	for {
		var doc yaml.Node
		err := decode(decoder, &doc)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return nil, c.syntaxError(err)
		}
		root, err := c.document(&doc)
		if err != nil {
			return nil, err
		}
		if root != nil {
			roots = append(roots, root)
		}
	}
}

// decode decodes the next document. The YAML parser panics on some invalid
// input, and the input is not trusted.
func decode(d *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser failed: %v", r)
		}
	}()
	return d.Decode(doc)
}

var yamlErrorPattern = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntaxError adds the position and a hint to an error of the YAML parser.
func (c *converter) syntaxError(err error) error {
	e := FieldError{File: c.name, Line: 1, Column: 1, Detail: err.Error()}
	if m := yamlErrorPattern.FindStringSubmatch(err.Error()); m != nil {
		e.Detail = "not YAML: " + m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			e.Line = line
		}
	}
	text := c.text.line(e.Line)
	e.Column = len(text) - len(strings.TrimLeft(text, " \t")) + 1
	switch {
	case bytes.Contains(c.text.data, []byte("{{")):
		e.Hint = templateHint
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t") || strings.Contains(e.Detail, "tab"):
		e.Hint = "indent with spaces; YAML does not allow tabs there"
	case strings.Contains(e.Detail, "mapping values are not allowed"):
		e.Hint = "check the indentation of this line and the one above, and quote text that contains \": \""
	case strings.Contains(e.Detail, "unknown anchor"):
		e.Hint = "an anchor must stand above its alias, in the same document"
	}
	return Errors{e}
}

const templateHint = "this looks like a template; render it first, e.g. with helm template"

// A converter converts the nodes of the YAML parser to those of this package.
type converter struct {
	name string
	text *text
	made map[*yaml.Node]*node // nodes with an anchor; nil while unfinished
	own  int                  // nodes converted so far
	free []node               // allocated and not used yet

	// ambiguous collects what readers of YAML understand differently: a key that
	// is set twice. It is nil in a strict parser, for which that is an error.
	ambiguous *Errors
}

// allocate returns a new node. One at a time they would be a third of the time of
// a conversion.
func (c *converter) allocate() *node {
	if len(c.free) == 0 {
		c.free = make([]node, 64)
	}
	n := &c.free[0]
	c.free = c.free[1:]
	return n
}

func (c *converter) document(doc *yaml.Node) (*node, error) {
	clear(c.made)
	if len(doc.Content) != 1 {
		return nil, nil
	}
	content := doc.Content[0]
	if content.Kind == yaml.ScalarNode && content.Value == "" && content.Style == 0 && content.Anchor == "" {
		return nil, nil // only comments
	}
	root, err := c.node(content)
	if err != nil {
		return nil, err
	}
	if err := c.checkBounds(root); err != nil {
		return nil, err
	}
	return root, nil
}

func (c *converter) fail(n *yaml.Node, hint, format string, args ...any) error {
	return Errors{{File: c.name, Line: n.Line, Column: n.Column, Detail: fmt.Sprintf(format, args...), Hint: hint}}
}

func (c *converter) node(y *yaml.Node) (*node, error) {
	c.own++
	n := c.allocate()
	*n = node{
		text: y.Value, anchor: y.Anchor, line: y.Line, col: y.Column,
		start: c.text.offset(y.Line, y.Column), weight: 1 + len(y.Value)/256, height: 1,
	}
	if y.Style&yaml.TaggedStyle != 0 {
		n.tag = y.Tag
	}
	if y.Anchor != "" {
		// A nil entry marks an anchor that is not finished, so that an alias to
		// it is found to be recursive.
		c.made[y] = nil
		defer func() { c.made[y] = n }()
	}
	var err error
	switch y.Kind {
	case yaml.ScalarNode:
		n.kind, n.style = scalarNode, scalarStyle(y.Style)
	case yaml.AliasNode:
		err = c.alias(n, y)
	case yaml.SequenceNode:
		n.kind = sequenceNode
		err = c.sequence(n, y)
	case yaml.MappingNode:
		n.kind = mappingNode
		err = c.mapping(n, y)
	default:
		err = c.fail(y, "", "unexpected YAML node")
	}
	if err != nil {
		return nil, err
	}
	if y.Style&yaml.FlowStyle != 0 {
		n.style = flowStyle
	}
	c.text.delimit(n)
	return n, nil
}

func scalarStyle(s yaml.Style) style {
	switch {
	case s&yaml.DoubleQuotedStyle != 0:
		return doubleStyle
	case s&yaml.SingleQuotedStyle != 0:
		return singleStyle
	case s&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return blockStyle
	}
	return plainStyle
}

func (c *converter) alias(n *node, y *yaml.Node) error {
	n.kind = aliasNode
	target, seen := c.made[y.Alias]
	if !seen {
		return c.fail(y, "an anchor must stand above its alias, in the same document", "unknown anchor *%s", y.Value)
	}
	if target == nil {
		return c.fail(y, "", "anchor &%s contains itself", y.Value)
	}
	n.target = target
	target.aliased = true
	// An alias counts like a copy, so that nested aliases cannot multiply
	// unnoticed (billion laughs attack).
	n.weight, n.height = target.weight, target.height
	return nil
}

func (n *node) add(child *node) {
	n.children = append(n.children, child)
	n.weight = min(n.weight+child.weight, weightLimit*2)
	n.height = max(n.height, child.height+1)
}

func (c *converter) sequence(n *node, y *yaml.Node) error {
	n.children = make([]*node, 0, len(y.Content))
	for _, y := range y.Content {
		child, err := c.node(y)
		if err != nil {
			return err
		}
		n.add(child)
	}
	return nil
}

func (c *converter) mapping(n *node, y *yaml.Node) error {
	n.children = make([]*node, 0, len(y.Content))
	keys := keys{of: n}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, err := c.node(y.Content[i])
		if err != nil {
			return err
		}
		v, err := c.node(y.Content[i+1])
		if err != nil {
			return err
		}
		if err := c.checkKey(y.Content[i], k, v); err != nil {
			return err
		}
		first := keys.find(k)
		switch {
		case first < 0:
		case c.ambiguous == nil:
			return Errors{duplicateKey(c.name, k, n.children[first])}
		case k.isMerge():
			first = -1 // each of them is merged
		default:
			*c.ambiguous = append(*c.ambiguous, duplicateKey(c.name, k, n.children[first]))
		}
		if k.isMerge() && i > 0 {
			n.ordered = c.ambiguous != nil
		}
		n.put(first, k, v)
		keys.add(k)
	}
	return nil
}

// put adds an entry, or replaces the one whose key is the child at index first, if
// that is not negative: the last of two values counts, as for kubectl.
func (n *node) put(first int, k, v *node) {
	if first < 0 {
		n.add(k)
		n.add(v)
		return
	}
	n.children[first], n.children[first+1] = k, v
	n.weight = min(n.weight+k.weight+v.weight, weightLimit*2)
	n.height = max(n.height, k.height+1, v.height+1)
}

func duplicateKey(file string, k, first *node) FieldError {
	return FieldError{
		File: file, Line: k.line, Column: k.col, Detail: fmt.Sprintf("duplicate key %q", k.keyName()),
		Hint: fmt.Sprintf("it is already set on line %d; only one of the two can count", first.line),
	}
}

// keys finds the keys of a mapping that is being read.
type keys struct {
	of    *node
	index map[string]int // of the children; nil while there are few
}

// fewKeys is the number of keys up to which comparing them one by one is faster
// than a map.
const fewKeys = 16

// find returns the index of the child that is the same key, or -1.
func (k *keys) find(key *node) int {
	name := key.keyName()
	if k.index != nil {
		if i, ok := k.index[name]; ok {
			return i
		}
		return -1
	}
	for i := 0; i < len(k.of.children); i += 2 {
		if k.of.children[i].keyName() == name {
			return i
		}
	}
	return -1
}

// add records the key that was put last.
func (k *keys) add(key *node) {
	children := k.of.children
	switch {
	case k.index != nil:
		if name := key.keyName(); children[len(children)-2] == key {
			k.index[name] = len(children) - 2
		}
	case len(children) > 2*fewKeys:
		k.index = make(map[string]int, len(children))
		for i := 0; i < len(children); i += 2 {
			k.index[children[i].keyName()] = i
		}
	}
}

// checkKey refuses keys that are not scalars, and merges of values that are not
// mappings.
func (c *converter) checkKey(y *yaml.Node, k, v *node) error {
	if k.resolved().kind != scalarNode {
		hint := ""
		if y.Style&yaml.FlowStyle != 0 && y.Kind == yaml.MappingNode {
			hint = templateHint
		}
		return c.fail(y, hint, "a key must be a string")
	}
	if k.isMerge() {
		for _, source := range mergeSources(v) {
			if source.resolved().kind != mappingNode {
				return c.fail(y, "", "<< needs a mapping, or a list of mappings")
			}
		}
	}
	if k.isNull() && k.style == plainStyle {
		return c.fail(y, "", "a key must not be null")
	}
	return nil
}

const (
	// weightLimit bounds the nodes of one document with aliases expanded. Long
	// texts count as several nodes.
	weightLimit = 2_000_000
	// heightLimit bounds nesting. The deepest known schemas, in custom resource
	// definitions, have about 80 levels.
	heightLimit = 500
)

func (c *converter) checkBounds(root *node) error {
	place := FieldError{File: c.name, Line: root.line, Column: root.col}
	if root.height > heightLimit {
		place.Detail = fmt.Sprintf("nested %d levels deep, more than %d", root.height, heightLimit)
		return Errors{place}
	}
	// A large file without aliases is valid, so the weight must also exceed the
	// size of the file.
	if root.weight > weightLimit && root.weight > 2*c.own+len(c.text.data)/256 {
		place.Detail = "aliases multiply this document to millions of values"
		return Errors{place}
	}
	return nil
}
