package manifest

import "slices"

// kind is the shape of a node.
type kind uint8

const (
	scalarNode kind = iota + 1
	mappingNode
	sequenceNode
	aliasNode
)

// style is how a node is written.
type style uint8

const (
	plainStyle  style = iota // of a scalar; block style of a collection
	singleStyle              // 'text'
	doubleStyle              // "text"
	blockStyle               // | or > text
	flowStyle                // {} or []
)

// A node is one value of a YAML or JSON document with its position. A node
// whose extent is unknown has start -1.
type node struct {
	kind     kind
	style    style
	text     string // of a scalar, unquoted and folded
	tag      string // as written in short form, "!!str"; empty if there is none
	anchor   string
	children []*node // of a mapping: key, value, key, value
	target   *node   // of an alias

	start, end int // byte offsets in the file, [start,end); properties excluded
	first      int // byte offset, properties included
	line, col  int // of the first character, properties included, from 1

	ordered bool // a mapping read leniently that has a merge key after other keys
	keep    bool // a block scalar whose trailing blank lines are content
	aliased bool // some alias refers to this node
	weight  int  // nodes this one stands for with its aliases written out
	height  int  // of the tree below it, aliases written out

	made bool  // by an edit: it has no place in the file
	was  *node // made to replace this one
}

// opaque reports whether the end of the node is unknown, so that nothing next
// to it can be edited.
func (n *node) opaque() bool { return n.start < 0 }

// resolved returns the node that an alias refers to, or the node itself.
func (n *node) resolved() *node {
	for n != nil && n.kind == aliasNode {
		n = n.target
	}
	return n
}

// An entry is one key of a mapping with its value.
type entry struct {
	key    *node
	name   string
	value  *node
	merged bool // it comes from a merge key
}

// isMerge reports whether n is the key "<<" of YAML 1.1.
func (n *node) isMerge() bool {
	return n.kind == scalarNode && n.style == plainStyle && n.text == "<<" && (n.tag == "" || n.tag == "!!merge")
}

// entries returns the entries of a mapping: its own keys in order, then those
// of its merge keys that it does not have itself.
func (n *node) entries() []entry {
	n = n.resolved()
	if n == nil || n.kind != mappingNode {
		return nil
	}
	if n.ordered {
		return n.orderedEntries()
	}
	list := make([]entry, 0, len(n.children)/2)
	var merges []*node
	for i := 0; i+1 < len(n.children); i += 2 {
		k, v := n.children[i], n.children[i+1]
		if k.isMerge() {
			merges = append(merges, v)
			continue
		}
		list = append(list, entry{key: k, name: k.keyName(), value: v})
	}
	if len(merges) == 0 {
		return list
	}
	have := make(map[string]bool, len(list))
	for _, e := range list {
		have[e.name] = true
	}
	// Own keys take precedence over merged ones, and earlier merges over later
	// ones (yaml.org/type/merge.html).
	for _, m := range merges {
		for _, source := range mergeSources(m) {
			for _, e := range source.entries() {
				if !have[e.name] {
					have[e.name] = true
					e.merged = true
					list = append(list, e)
				}
			}
		}
	}
	return list
}

// orderedEntries is entries with the precedence of kubectl: of a key and a merge
// key that has it, too, the later one counts.
func (n *node) orderedEntries() []entry {
	var list []entry
	index := map[string]int{}
	put := func(e entry) {
		if i, ok := index[e.name]; ok {
			list[i] = e
			return
		}
		index[e.name] = len(list)
		list = append(list, e)
	}
	for i := 0; i+1 < len(n.children); i += 2 {
		k, v := n.children[i], n.children[i+1]
		if !k.isMerge() {
			put(entry{key: k, name: k.keyName(), value: v})
			continue
		}
		// In a list of mappings the first one counts.
		for _, source := range slices.Backward(mergeSources(v)) {
			for _, e := range source.entries() {
				e.merged = true
				put(e)
			}
		}
	}
	return list
}

// mergeSources returns the mappings that the value of a merge key refers to.
func mergeSources(value *node) []*node {
	value = value.resolved()
	if value.kind == sequenceNode {
		return value.children
	}
	return []*node{value}
}

// get returns the entry of a mapping named key.
func (n *node) get(key string) (entry, bool) {
	n = n.resolved()
	if n == nil || n.kind != mappingNode {
		return entry{}, false
	}
	merges := n.ordered
	for i := 0; i+1 < len(n.children) && !n.ordered; i += 2 {
		k := n.children[i]
		if k.isMerge() {
			merges = true
			continue
		}
		if k.keyName() == key {
			return entry{key: k, name: key, value: n.children[i+1]}, true
		}
	}
	if !merges {
		return entry{}, false
	}
	for _, e := range n.entries() {
		if e.name == key {
			return e, true
		}
	}
	return entry{}, false
}

// isNull reports whether the node is null, explicitly or by an empty value.
func (n *node) isNull() bool {
	n = n.resolved()
	if n == nil {
		return true
	}
	if n.kind != scalarNode {
		return false
	}
	value, err := n.scalar()
	return err == nil && value == nil
}

// str returns the text of a node that is a string.
func (n *node) str() (string, bool) {
	n = n.resolved()
	if n == nil || n.kind != scalarNode {
		return "", false
	}
	value, err := n.scalar()
	if err != nil {
		return "", false
	}
	s, ok := value.(string)
	return s, ok
}
