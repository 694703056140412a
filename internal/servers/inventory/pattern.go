package inventory

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// A term is one part of a pattern. It adds hosts, or keeps (&) or removes (!) hosts of
// those that were added.
type term struct {
	op   byte // 0, '&' or '!'
	text string
}

func (t term) String() string { return strings.Trim(string(t.op), "\x00") + t.text }

// commandLine is the origin of patterns.
var commandLine = Origin{}

// parsePatterns splits patterns into terms in the order in which Ansible applies them:
// terms that add come first, then those that keep, then those that remove. If no term
// adds, the first one is "all". known reports whether a name is that of a host or group.
func parsePatterns(patterns []string, known func(string) bool) ([]term, error) {
	byOp := map[byte][]term{}
	size, count := 0, 0
	for _, p := range patterns {
		if size += len(p); size > maxPatterns {
			return nil, fail(commandLine, "", "patterns of more than %d KiB", maxPatterns>>10)
		}
		for _, piece := range splitOutside(p, ',') {
			for _, text := range splitUnion(strings.TrimSpace(piece), known) {
				t := term{text: strings.TrimSpace(text)}
				if t.text != "" && (t.text[0] == '&' || t.text[0] == '!') {
					t = term{t.text[0], strings.TrimSpace(t.text[1:])}
				}
				if t.text == "" {
					return nil, fail(commandLine, "name a host or a group; all is every host", "an empty pattern")
				}
				byOp[t.op] = append(byOp[t.op], t)
				count++
			}
		}
	}
	if count == 0 {
		return nil, fail(commandLine, "name a host or a group; all is every host", "no pattern")
	}
	if len(byOp[0]) == 0 {
		byOp[0] = []term{{text: groupAll}}
	}
	return append(append(byOp[0], byOp['&']...), byOp['!']...), nil
}

// splitUnion splits "a:b:!c". It does not split a destination, where a colon precedes
// the port.
func splitUnion(text string, known func(string) bool) []string {
	if isDestination(text, known) {
		return []string{text}
	}
	return splitOutside(text, ':')
}

// splitOutside splits at a separator outside brackets and parentheses.
func splitOutside(text string, separator byte) []string {
	var parts []string
	depth, begin := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[' || c == '(':
			depth++
		case (c == ']' || c == ')') && depth > 0:
			depth--
		case c == separator && depth == 0:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// isDestination reports whether a pattern can only be a destination: user@host,
// [ipv6]:port, host:port, ssh://host, or an IPv6 address.
func isDestination(text string, known func(string) bool) bool {
	if text == "" || strings.IndexByte("~&!", text[0]) >= 0 {
		return false
	}
	if strings.HasPrefix(text, "ssh://") || strings.Contains(text, "@") && !known(text) {
		return true
	}
	if _, _, isIP := cutBrackets(text); isIP {
		return true
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	// "web:80" could be the union of two groups, if there is one called 80.
	host, port, ok := strings.Cut(text, ":")
	_, isPort := parsePort(port)
	return ok && host != "" && !strings.ContainsAny(host, "*?[]") && isPort && !known(port)
}

// subscript matches a pattern with the index of a host, or a range of indices, at its
// end.
var subscript = regexp.MustCompile(`^([^~].*)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]$`)

// cutSubscript splits "web[0:2]" into "web" and a function that selects among its hosts.
// Both ends of a range are included, as in Ansible.
func cutSubscript(text string) (base string, pick func([]string) []string) {
	m := subscript.FindStringSubmatch(text)
	if m == nil {
		return text, nil
	}
	if m[2] != "" {
		i, err := strconv.Atoi(m[2])
		return m[1], func(all []string) []string {
			if i < 0 {
				i += len(all)
			}
			if err != nil || i < 0 || i >= len(all) {
				return nil
			}
			return all[i : i+1]
		}
	}
	from, err := strconv.Atoi(m[3])
	to, openEnd := strconv.Atoi(m[4])
	return m[1], func(all []string) []string {
		end := len(all)
		if openEnd == nil {
			end = min(to, end-1) + 1
		}
		if err != nil || from >= end {
			return nil
		}
		return all[from:end]
	}
}

// isGlob reports whether a pattern may match several names.
func isGlob(text string) bool { return text[0] == '~' || strings.ContainsAny(text, "*?[") }

// matcher compiles "~regex", a glob or a name to a function that matches names. As in
// Ansible a regular expression is anchored at the beginning, but not at the end.
func matcher(text string) (func(string) bool, error) {
	if !isGlob(text) {
		return func(name string) bool { return name == text }, nil
	}
	expression := globExpression(text)
	if text[0] == '~' {
		expression = `^(?:` + text[1:] + `)`
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, fail(commandLine, "the syntax is RE2's, which has no lookaround and no backreferences", "%.200q: %v", text, err)
	}
	return re.MatchString, nil
}

// globExpression translates a glob of Python's fnmatch into a regular expression.
// path.Match has another syntax for classes.
func globExpression(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteByte('.')
		case '[':
			// A "]" that comes first, or after "!", is one of the characters.
			inner := strings.TrimPrefix(glob[i+1:], "!")
			begin := len(glob) - len(inner)
			end := strings.IndexByte(glob[min(begin+1, len(glob)):], ']')
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			end += begin + 1
			b.WriteByte('[')
			if begin > i+1 {
				b.WriteByte('^')
			}
			b.WriteString(strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(glob[begin:end]))
			b.WriteByte(']')
			i = end
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	return b.String() + `$`
}
