package manifest

import "strings"

// A plainParser parses what nearly all manifests consist of several times faster than the
// YAML parser: one document of ASCII, with block collections, scalars and flow collections
// on one line, no escapes, anchors, tags, block scalars or keys that are set twice. It gives
// up on everything else, including invalid YAML, and the document goes to the YAML parser.
// Both parsers return the same nodes for a document that it accepts; FuzzPlain compares them.
type plainParser struct {
	data  string
	nodes converter // allocates
	depth int
	wrong bool // it gave up

	// The next character.
	at, line, col int // col is counted from 0
	end           int // of the line
	done          bool
}

const (
	maxPlainDepth = 100
	maxPlainKey   = 128 // the YAML parser has 1024
)

// parsePlain returns the root of the document in data, or nil if it gives up.
func parsePlain(data []byte) *node {
	for _, c := range data {
		if (c < ' ' || c > '~') && c != '\n' {
			return nil
		}
	}
	p := plainParser{data: string(data), end: -1}
	p.nextLine()
	if !p.done && p.col == 0 && strings.HasPrefix(p.data[p.at:], "---") && p.blankFrom(p.at+3) {
		p.nextLine()
	}
	if p.done {
		return nil
	}
	root := p.block()
	if p.wrong || !p.done {
		return nil
	}
	return root
}

// nextLine moves to the first character of the next line that has more than a comment.
func (p *plainParser) nextLine() {
	for p.end+1 < len(p.data) {
		begin := p.end + 1
		p.line++
		if n := strings.IndexByte(p.data[begin:], '\n'); n >= 0 {
			p.end = begin + n
		} else {
			p.end = len(p.data)
		}
		p.at = begin
		for p.at < p.end && p.data[p.at] == ' ' {
			p.at++
		}
		if p.col = p.at - begin; p.at < p.end && p.data[p.at] != '#' {
			return
		}
	}
	p.done = true
}

// blankFrom reports whether the line has only blanks and a comment from an offset on.
func (p *plainParser) blankFrom(at int) bool {
	from := at
	for at < p.end && p.data[at] == ' ' {
		at++
	}
	return at == p.end || p.data[at] == '#' && at > from
}

// skip moves to the next character that is no blank in the line.
func (p *plainParser) skip(n int) {
	for p.at, p.col = p.at+n, p.col+n; p.at < p.end && p.data[p.at] == ' '; p.at++ {
		p.col++
	}
}

func (p *plainParser) giveUp() *node {
	p.wrong = true
	return nil
}

func (p *plainParser) open(k kind, s style) *node {
	n := p.nodes.allocate()
	*n = node{kind: k, style: s, line: p.line, col: p.col + 1, start: p.at, first: p.at, weight: 1, height: 1}
	if k != scalarNode {
		n.children = make([]*node, 0, 8)
	}
	return n
}

// scalar returns a node for a text of the data, which is inside of [p.at,end).
func (p *plainParser) scalar(s style, text string, end int) *node {
	n := p.open(scalarNode, s)
	n.text, n.end, n.weight = text, end, 1+len(text)/256
	p.col += end - p.at
	p.at = end
	return n
}

// isItem reports whether an item of a block sequence begins here.
func (p *plainParser) isItem() bool {
	return p.at+1 < p.end && p.data[p.at] == '-' && p.data[p.at+1] == ' '
}

// block parses a block collection.
func (p *plainParser) block() *node {
	if p.depth++; p.depth > maxPlainDepth {
		return p.giveUp()
	}
	defer func() { p.depth-- }()
	if p.isItem() {
		return p.sequence()
	}
	return p.mapping()
}

func (p *plainParser) sequence() *node {
	n, column := p.open(sequenceNode, plainStyle), p.col
	for {
		p.skip(1)
		var item *node
		switch {
		case p.blankFrom(p.at), p.isItem():
			return p.giveUp()
		case p.keyEnd(p.at) > 0:
			item = p.block()
		default:
			item = p.inline(column)
		}
		if p.wrong {
			return nil
		}
		n.add(item)
		n.end = item.end
		switch {
		case p.done, p.col < column, p.col == column && !p.isItem():
			return n
		case p.col > column:
			return p.giveUp()
		}
	}
}

func (p *plainParser) mapping() *node {
	n, column := p.open(mappingNode, plainStyle), p.col
	seen := keys{of: n}
	for {
		k := p.key(&seen)
		if p.wrong {
			return nil
		}
		v := p.value(column)
		if p.wrong {
			return nil
		}
		n.put(-1, k, v)
		seen.add(k)
		n.end = v.end
		switch {
		case p.done, p.col < column:
			return n
		case p.col > column:
			return p.giveUp()
		}
	}
}

// key parses a key with its colon.
func (p *plainParser) key(seen *keys) *node {
	end := p.keyEnd(p.at)
	if end < 0 {
		return p.giveUp()
	}
	k := p.scalar(plainStyle, p.data[p.at:end], end)
	if k.isNull() || seen.find(k) >= 0 {
		return p.giveUp()
	}
	p.skip(1)
	return k
}

// keyEnd returns the offset behind the key that begins at an offset, or -1 if no key does.
func (p *plainParser) keyEnd(at int) int {
	end := at
	for end < p.end && isPlainByte(p.data[end]) {
		end++
	}
	switch {
	case end == at, end-at > maxPlainKey, p.data[at] == '-', p.data[at] == '.', end == p.end, p.data[end] != ':':
		return -1
	case end+1 < p.end && p.data[end+1] != ' ':
		return -1
	}
	return end
}

// isPlainByte reports whether a character has no meaning of its own anywhere but at the
// beginning of a scalar.
func isPlainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c == '/'
}

// value parses the value of a key in a mapping at a column.
func (p *plainParser) value(column int) *node {
	if p.at < p.end && p.data[p.at] != '#' {
		return p.inline(column)
	}
	p.nextLine()
	if p.done || p.col < column || p.col == column && !p.isItem() {
		return p.giveUp() // null
	}
	return p.block()
}

// inline parses a value that ends in its line, in a collection at a column, and moves to
// the next line.
func (p *plainParser) inline(column int) *node {
	var n *node
	switch c := p.data[p.at]; {
	case c == '{' || c == '[':
		n = p.flow()
	case c == '"' || c == '\'':
		n = p.quoted()
	case isPlainByte(c):
		n = p.plain()
	default:
		return p.giveUp()
	}
	if p.wrong || !p.blankFrom(p.at) {
		return p.giveUp()
	}
	if p.nextLine(); !p.done && p.col > column {
		return p.giveUp() // the scalar may go on
	}
	return n
}

// plain parses a plain scalar of a block collection.
func (p *plainParser) plain() *node {
	if c := p.data[p.at]; c == '-' && (p.at+1 == p.end || !isPlainByte(p.data[p.at+1])) {
		return p.giveUp()
	}
	text := p.data[p.at:p.end]
	for i := range len(text) {
		switch {
		case text[i] == '#' && text[i-1] == ' ':
			text = text[:i]
		case text[i] == ':' && (i+1 == len(text) || text[i+1] == ' '):
			return p.giveUp()
		default:
			continue
		}
		break
	}
	text = strings.TrimRight(text, " ")
	return p.scalar(plainStyle, text, p.at+len(text))
}

// quoted parses a quoted scalar without escapes.
func (p *plainParser) quoted() *node {
	quote, s := p.data[p.at], singleStyle
	if quote == '"' {
		s = doubleStyle
	}
	rest := p.data[p.at+1 : p.end]
	n := strings.IndexByte(rest, quote)
	if n < 0 || n+1 < len(rest) && rest[n+1] == quote || quote == '"' && strings.IndexByte(rest[:n], '\\') >= 0 {
		return p.giveUp()
	}
	return p.scalar(s, rest[:n], p.at+n+2)
}

// flow parses a flow collection.
func (p *plainParser) flow() *node {
	if p.depth++; p.depth > maxPlainDepth {
		return p.giveUp()
	}
	defer func() { p.depth-- }()
	k, closer := mappingNode, byte('}')
	if p.data[p.at] == '[' {
		k, closer = sequenceNode, ']'
	}
	n := p.open(k, flowStyle)
	seen := keys{of: n}
	for p.skip(1); ; p.skip(1) {
		if p.at < p.end && p.data[p.at] == closer && len(n.children) == 0 {
			break
		}
		if k == mappingNode {
			key := p.key(&seen)
			if p.wrong {
				return nil
			}
			v := p.flowValue()
			if p.wrong {
				return nil
			}
			n.put(-1, key, v)
			seen.add(key)
		} else if v := p.flowValue(); v != nil {
			n.add(v)
		}
		if p.skip(0); p.wrong || p.at == p.end || p.data[p.at] != ',' {
			break
		}
	}
	if p.wrong || p.at == p.end || p.data[p.at] != closer {
		return p.giveUp()
	}
	p.at, p.col = p.at+1, p.col+1
	n.end = p.at
	return n
}

// flowValue parses a value of a flow collection.
func (p *plainParser) flowValue() *node {
	if p.at == p.end {
		return p.giveUp()
	}
	switch c := p.data[p.at]; {
	case c == '{' || c == '[':
		return p.flow()
	case c == '"' || c == '\'':
		return p.quoted()
	case !isPlainByte(c) || c == '-':
		return p.giveUp()
	}
	end := p.at
	for end < p.end && isPlainByte(p.data[end]) {
		end++
	}
	return p.scalar(plainStyle, p.data[p.at:end], end)
}
