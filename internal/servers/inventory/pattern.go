package inventory

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
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
// adds, the first one is "all".
func parsePatterns(patterns []string, inv Inventory) ([]term, error) {
	byOp := map[byte][]term{}
	size, count := 0, 0
	for _, p := range patterns {
		if size += len(p); size > maxPatterns {
			return nil, fail(commandLine, "", "patterns of more than %d KiB", maxPatterns>>10)
		}
		for _, text := range inv.split(p) {
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
	if count == 0 {
		return nil, fail(commandLine, "name a host or a group; all is every host", "no pattern")
	}
	if len(byOp[0]) == 0 {
		byOp[0] = []term{{text: groupAll}}
	}
	return append(append(byOp[0], byOp['&']...), byOp['!']...), nil
}

// split splits "a,b" and "a:b:!c" as Ansible does: at colons only if there is no comma, and
// if the whole is no address. A name of the inventory is not split, nor is a destination,
// where a colon precedes the port.
func (inv Inventory) split(pattern string) []string {
	pattern = strings.TrimSpace(pattern)
	if inv.knows(strings.TrimLeft(pattern, "&!")) {
		return []string{pattern}
	}
	if strings.Contains(pattern, ",") {
		return strings.Split(pattern, ",")
	}
	if _, _, isAddress := cutPort(pattern); isAddress || inv.isDestination(pattern) {
		return []string{pattern}
	}
	return splitOutside(pattern)
}

// splitOutside splits at colons and spaces outside brackets and parentheses.
func splitOutside(text string) []string {
	var parts []string
	depth, begin := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[' || c == '(':
			depth++
		case (c == ']' || c == ')') && depth > 0:
			depth--
		case c == ' ' && depth == 0:
			if begin < i {
				parts = append(parts, text[begin:i])
			}
			begin = i + 1
		case c == ':' && depth == 0:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// knows reports whether a name is that of a host or group.
func (inv Inventory) knows(name string) bool {
	return inv.graph.hosts[name] != nil || inv.graph.groups[name] != nil
}

// isDestination reports whether a pattern can only be a destination: user@host or
// ssh://host. A host with a port, and an IPv6 address, are destinations if the host is
// known or if there is no inventory.
func (inv Inventory) isDestination(text string) bool {
	if text == "" || strings.IndexByte("~&!", text[0]) >= 0 || inv.knows(text) {
		return false
	}
	if strings.HasPrefix(text, "ssh://") || strings.Contains(text, "@") {
		return true
	}
	host, after, isIP := cutBrackets(text)
	if _, err := netip.ParseAddr(text); err == nil {
		host, after, isIP = text, "", true
	}
	if isIP {
		return after != ":" && inv.isConnectable(host)
	}
	host, port, ok := strings.Cut(text, ":")
	_, isPort := parsePort(port)
	return ok && isPort && inv.isConnectable(host)
}

// isConnectable reports whether the host of a destination is one: a host of the inventory
// or ssh_config, or any name if there is no inventory.
func (inv Inventory) isConnectable(host string) bool {
	return inv.graph.hosts[host] != nil || inv.isForeignHost(host)
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
		if openEnd == nil && to == 0 { // to Ansible [2:0] is [2]
			end = min(from, len(all)-1) + 1
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
	for i := 0; i < len(glob); {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteByte('.')
		case '[':
			// A "]" that comes first, or after "!", is one of the characters.
			begin := i + 1 + len(glob[i+1:]) - len(strings.TrimPrefix(glob[i+1:], "!"))
			end := strings.IndexByte(glob[min(begin+1, len(glob)):], ']')
			if end < 0 {
				b.WriteString(`\[`)
				break
			}
			end += begin + 1
			b.WriteString(classExpression([]rune(glob[begin:end]), begin > i+1))
			i = end
		default:
			_, size := utf8.DecodeRuneInString(glob[i:])
			b.WriteString(regexp.QuoteMeta(glob[i : i+size]))
			i += size - 1
		}
		i++
	}
	return b.String() + `$`
}

// classExpression translates the characters of a class. A range that ends before it begins
// matches nothing.
func classExpression(class []rune, isNegated bool) string {
	var inner strings.Builder
	for i := 0; i < len(class); i++ {
		from, to := class[i], class[i]
		if i+2 < len(class) && class[i+1] == '-' {
			to = class[i+2]
			i += 2
		}
		if from <= to {
			fmt.Fprintf(&inner, `\x{%x}-\x{%x}`, from, to)
		}
	}
	switch {
	case inner.Len() > 0 && isNegated:
		return `[^` + inner.String() + `]`
	case inner.Len() > 0:
		return `[` + inner.String() + `]`
	case isNegated:
		return `.`
	}
	return `[^\x{0}-\x{10FFFF}]`
}
