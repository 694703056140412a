package redact

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects, lists and elements are nested at most. What is deeper is
// not in the format.
const maxDepth = 256

// A jsonReader reads JSON, with the comments and trailing commas of its dialects.
type jsonReader struct {
	*marker
	s      string
	i      int
	depth  int
	secret strength // of the names that what is read belongs to
}

// A span is a part of the text.
type span struct{ from, to int }

// json marks the secrets of a JSON text, or of several. It reports whether the text is
// one; otherwise what was marked stays marked.
func (m *marker) json() bool {
	r := jsonReader{marker: m, s: m.content}
	for r.space(); r.i < len(r.s); r.space() {
		if !r.value() {
			return false
		}
	}
	return true
}

// space skips blanks and comments, in which the lines are marked.
func (r *jsonReader) space() {
	for r.i < len(r.s) {
		rest := r.s[r.i:]
		end := -1
		switch {
		case isBlank(rest[0]) || r.i == 0 && strings.HasPrefix(rest, "\ufeff"):
			r.i++
			continue
		case strings.HasPrefix(rest, "//") || rest[0] == '#':
			if end = strings.IndexByte(rest, '\n'); end < 0 {
				end = len(rest)
			}
		case strings.HasPrefix(rest, "/*"):
			if end = strings.Index(rest, "*/"); end < 0 {
				end = len(rest)
			}
		default:
			return
		}
		r.lines(view{s: rest[:end], base: r.i}, 1)
		r.i += end
		if strings.HasPrefix(r.s[r.i:], "*/") {
			r.i += 2
		}
	}
}

func (r *jsonReader) value() bool {
	if r.i >= len(r.s) {
		return false
	}
	switch r.s[r.i] {
	case '{':
		return r.nested(r.object)
	case '[':
		return r.nested(r.array)
	case '"':
		at, text, ok := r.text()
		if ok {
			r.leaf(at, text)
		}
		return ok
	}
	at := span{from: r.i}
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n,:]}\"{[", r.s[r.i]) < 0 {
		r.i++
	}
	at.to = r.i
	word := r.s[at.from:at.to]
	if _, err := strconv.ParseFloat(word, 64); err != nil && word != "true" && word != "false" && word != "null" {
		return false
	}
	if r.secret != none && !r.isHarmless(word, r.secret) {
		r.hide(at.from, at.to, value)
	}
	return true
}

func (r *jsonReader) nested(read func() bool) bool {
	if r.depth++; r.depth > maxDepth {
		return false
	}
	defer func() { r.depth-- }()
	r.i++
	return read()
}

// leaf marks a string, by the names above it or by itself.
func (r *jsonReader) leaf(at span, text view) {
	if r.secret != none && !r.isHarmless(text.s, r.secret) {
		r.hide(at.from, at.to, value)
		return
	}
	r.lines(text, 1)
}

// Entries are those of an object whose values depend on other entries.
type entries struct {
	values     []span // of "value", beside a "name"
	isSecret   bool   // by its name
	data       []span // of a Secret of Kubernetes
	isKubeKind bool
	jwk        []span // private members of a JSON Web Key
	isJWK      bool
}

func (r *jsonReader) object() bool {
	var e entries
	for {
		r.space()
		if r.i < len(r.s) && r.s[r.i] == '}' {
			r.i++
			r.beside(e)
			return true
		}
		if r.i >= len(r.s) || r.s[r.i] != '"' {
			return false
		}
		_, key, ok := r.text()
		if r.space(); !ok || r.i >= len(r.s) || r.s[r.i] != ':' {
			return false
		}
		r.i++
		r.space()
		start := r.i
		outer := r.secret
		r.secret = max(outer, strengthOf(key.s))
		if outer == weak && r.secret == about {
			r.secret = about
		}
		ok = r.value()
		r.secret = outer
		if !ok {
			return false
		}
		e.add(strings.ToLower(key.s), span{start, r.i}, r.s[start:r.i])
		if !r.separator('}') {
			return false
		}
	}
}

// separator reads a comma, which may be missing before the end.
func (r *jsonReader) separator(end byte) bool {
	r.space()
	if r.i < len(r.s) && r.s[r.i] == ',' {
		r.i++
		return true
	}
	return r.i < len(r.s) && r.s[r.i] == end
}

// Names beside which "value" is that of the setting that they name, and names of values.
var (
	nameKeys   = set("name key id field property option param parameter variable var envvar parametername parameterkey attribute setting label header keyname")
	jwkPrivate = set("d p q dp dq qi k oth")
	valueKeys  = set("value val values content contents default defaultvalue data text parametervalue secretstring string plaintext newvalue current")
)

func (e *entries) add(key string, at span, raw string) {
	text := strings.Trim(raw, `"' `)
	switch {
	case nameKeys[key] && len(text) <= maxName && strengthOf(text) >= weak:
		e.isSecret = true
	case valueKeys[key]:
		e.values = append(e.values, at)
	}
	switch {
	case key == "kind" && text == "Secret":
		e.isKubeKind = true
	case key == "kty":
		e.isJWK = true
	case jwkPrivate[key]:
		e.jwk = append(e.jwk, at)
	case key == "data" || key == "stringdata" || key == "binarydata":
		e.data = append(e.data, at)
	}
}

func (m *marker) beside(e entries) {
	if e.isSecret {
		for _, at := range e.values {
			m.hideValue(at)
		}
	}
	if e.isKubeKind {
		for _, at := range e.data {
			m.hideValue(at)
		}
	}
	if e.isJWK {
		for _, at := range e.jwk {
			m.hideValue(at)
		}
	}
}

// hideValue hides a value that is not harmless.
func (m *marker) hideValue(at span) {
	if !m.isHarmless(m.content[at.from:at.to], strong) {
		m.hide(at.from, at.to, value)
	}
}

func (r *jsonReader) array() bool {
	begin := r.i
	var list nameInList
	for {
		r.space()
		if r.i < len(r.s) && r.s[r.i] == ']' {
			if raw := r.s[begin:r.i]; strings.Contains(raw, `"-`) && len(raw) <= maxCommand {
				r.applyRules(view{s: raw, base: begin}, lowerASCII(raw))
			}
			r.i++
			return true
		}
		start := r.i
		if !r.value() {
			return false
		}
		if list.next(strings.Trim(r.s[start:r.i], `"`)) {
			r.hideValue(span{start, r.i})
		}
		if !r.separator(']') {
			return false
		}
	}
}

// maxCommand is the most bytes of a list that is read as a command.
const maxCommand = 4 << 10

// A nameInList finds secrets in lists that come after their name, ["--password", "x"] or
// ["password", "x"].
type nameInList struct {
	n      int
	isName bool // the element before
}

// next reports whether an element is the value of the name before it.
func (l *nameInList) next(s string) bool {
	isValue := l.isName && s != "" && s[0] != '-'
	l.isName = len(s) <= maxName && (strings.HasPrefix(s, "-") && !strings.Contains(s, "=") && strengthOf(s) >= weak || l.n == 0 && isWord(s) && strengthOf(s) == strong)
	l.n++
	return isValue
}

func isWord(s string) bool {
	for i := range len(s) {
		if !isName(s[i]) {
			return false
		}
	}
	return s != ""
}

// text reads a string and returns where it is, with its quotes, and its value.
func (r *jsonReader) text() (span, view, bool) {
	at := span{from: r.i}
	end := r.i + 1
	plain := true
	for ; end < len(r.s) && r.s[end] != '"'; end++ {
		switch r.s[end] {
		case '\\':
			plain = false
			end++
		case '\n':
			return at, view{}, false
		}
	}
	if end >= len(r.s) {
		return at, view{}, false
	}
	r.i = end + 1
	at.to = r.i
	if plain {
		return at, view{s: r.s[at.from+1 : end], base: at.from + 1}, true
	}
	return at, unescapeJSON(r.s, at.from+1, end), true
}

// unescapeJSON returns the value of a string, with the position of each byte.
func unescapeJSON(s string, from, to int) view {
	var b strings.Builder
	pos := make([]int, 0, to-from+1)
	add := func(text string, at int) {
		b.WriteString(text)
		for range len(text) {
			pos = append(pos, at)
		}
	}
	for i := from; i < to; {
		if s[i] != '\\' || i+1 >= to {
			add(s[i:i+1], i)
			i++
			continue
		}
		at := i
		i += 2
		switch c := s[at+1]; c {
		case 'n', 'r', 'v', 'f':
			add("\n", at)
		case 't':
			add("\t", at)
		case 'b':
			add(" ", at)
		case 'u':
			n, err := uint64(utf8.RuneError), error(nil)
			if i+4 <= to {
				n, err = strconv.ParseUint(s[i:i+4], 16, 16)
				i += 4
			}
			if err != nil {
				n = utf8.RuneError
			}
			add(string(rune(n)), at)
		default:
			add(string(c), at)
		}
	}
	return view{s: b.String(), pos: append(pos, to)}
}
