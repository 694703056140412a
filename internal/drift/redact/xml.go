package redact

import (
	"regexp"
	"strings"
)

// An element is one that is open.
type element struct {
	name     string
	how      strength
	isNamed  bool   // an attribute or an element in it is the name of a secret
	values   []span // in it, that have no name of their own
	lastText string // of the element before, for property lists
}

var (
	xmlTag       = regexp.MustCompile(`^<(/?)([A-Za-z_][\w:.-]*)`)
	xmlAttribute = regexp.MustCompile(`([A-Za-z_:][\w:.-]*)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)`)
	emptyTags    = set("input br img meta link hr source area base col embed param track wbr")
	nameTags     = set("name key id param-name entry-key property-name string-name")
)

// maxValuesUp is the most values of an element that can belong to a name beside it, which
// bounds the cost of deep nesting.
const maxValuesUp = 64

// xml marks the secrets of elements and attributes. It reports whether the text is well
// formed as far as this needs.
func (m *marker) xml() bool {
	s := m.content
	stack := []element{{}}
	ok := true
	for i := 0; i < len(s); {
		next := strings.IndexByte(s[i:], '<')
		if next < 0 {
			next = len(s) - i
		}
		m.xmlText(&stack[len(stack)-1], i, i+next)
		i += next
		if i >= len(s) {
			break
		}
		rest := s[i:]
		if end := xmlSkip(rest); end > 0 {
			if strings.HasPrefix(rest, "<![CDATA[") {
				m.xmlText(&stack[len(stack)-1], i+len("<![CDATA["), i+end)
			} else {
				m.lines(view{s: rest[:end], base: i}, 1)
			}
			i += end
			continue
		}
		tag := xmlTag.FindStringSubmatch(rest[:min(len(rest), 256)])
		end := tagEnd(rest)
		if tag == nil || end < 0 {
			ok = false
			i++
			continue
		}
		if tag[1] == "/" {
			if len(stack) > 1 {
				m.closeElement(&stack, tag[2])
			} else {
				ok = false
			}
			i += end
			continue
		}
		e := m.openElement(&stack[len(stack)-1], tag[2], i, i+end)
		isClosed := strings.HasSuffix(rest[:end], "/>") || emptyTags[strings.ToLower(tag[2])]
		if i += end; isClosed {
			continue
		}
		if len(stack) >= maxDepth {
			return false
		}
		stack = append(stack, e)
	}
	return ok && len(stack) == 1
}

// xmlSkip returns the length of what is neither text nor a tag.
func xmlSkip(s string) int {
	for _, part := range []struct{ start, end string }{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}} {
		if strings.HasPrefix(s, part.start) {
			end := strings.Index(s, part.end)
			if end < 0 {
				return len(s)
			}
			return end + len(part.end)
		}
	}
	return 0
}

// tagEnd returns the length of a tag, or -1. A > in quotes does not end it.
func tagEnd(s string) int {
	var quote byte
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		case c == '<' && i > 0:
			return -1
		}
	}
	return -1
}

// openElement marks the attributes of a tag and returns its element.
func (m *marker) openElement(parent *element, name string, from, to int) element {
	local := name[strings.LastIndexByte(name, ':')+1:]
	e := element{name: name, how: max(strengthOf(local), parent.how)}
	if parent.how == strong {
		e.how = strong
	}
	if isValueTag(local) && strengthOf(parent.lastText) >= weak && parent.lastText != "" {
		e.how = strong // <key>password</key><string>x</string>
	}
	var values []span
	named := false
	for _, at := range xmlAttribute.FindAllStringSubmatchIndex(m.content[from:to], -1) {
		key := m.content[from+at[2] : from+at[3]]
		val := span{from + at[4], from + at[5]}
		text := strings.Trim(m.content[val.from:val.to], `"'`)
		lower := strings.ToLower(key[strings.LastIndexByte(key, ':')+1:])
		switch how := strengthOf(key); {
		case nameKeys[lower] || lower == "type":
			named = named || len(text) <= maxName && strengthOf(text) >= weak
		case valueKeys[lower]:
			values = append(values, val)
		case max(how, e.how) >= about && !m.isHarmless(text, max(how, e.how)) && lower != "for" && lower != "class":
			m.hide(val.from, val.to, value)
			continue
		}
		m.lines(view{s: text, base: val.from + 1}, 1)
	}
	if named || e.how == strong {
		for _, val := range values {
			m.hideValue(val)
		}
		e.how = strong
	}
	return e
}

func isValueTag(name string) bool {
	switch strings.ToLower(name) {
	case "string", "value", "data", "integer", "param-value", "env-entry-value", "array":
		return true
	}
	return false
}

// closeElement ends the innermost element of a name and those in it.
func (m *marker) closeElement(stack *[]element, name string) {
	s := *stack
	for i := len(s) - 1; i >= max(1, len(s)-8); i-- {
		if s[i].name != name {
			continue
		}
		e := s[i]
		if e.isNamed {
			for _, val := range e.values {
				m.hideValue(val)
			}
		}
		parent := &s[i-1]
		local := strings.ToLower(name[strings.LastIndexByte(name, ':')+1:])
		parent.lastText = ""
		if nameTags[local] || nameKeys[local] || strings.HasSuffix(local, "-name") {
			parent.lastText = e.lastText
			if strengthOf(e.lastText) >= weak && e.lastText != "" {
				parent.isNamed = true
			}
		} else {
			parent.values = append(parent.values, e.values[:min(len(e.values), maxValuesUp)]...)
		}
		*stack = s[:i]
		return
	}
}

// xmlText marks the text of an element.
func (m *marker) xmlText(e *element, from, to int) {
	text := strings.TrimSpace(m.content[from:to])
	if text == "" {
		return
	}
	if e.how > none && !m.isHarmless(text, e.how) {
		m.hide(from, to, value)
		return
	}
	if len(text) <= maxName {
		e.lastText = text
	}
	if local := strings.ToLower(e.name); !nameTags[local] && !strings.HasSuffix(local, "-name") {
		e.values = append(e.values, span{from, to})
	}
	m.lines(view{s: m.content[from:to], base: from}, 1)
}
