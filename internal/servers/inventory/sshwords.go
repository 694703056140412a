package inventory

import (
	"strings"
)

// configWords splits a line as OpenSSH does. Words may be quoted. A backslash escapes
// quotes, itself and, outside quotes, a space. A "#" at the beginning of a word begins a
// comment.
func configWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		var b strings.Builder
		quote := byte(0)
		i := 0
		for ; i < len(line) && (quote != 0 || line[i] != ' ' && line[i] != '\t'); i++ {
			c := line[i]
			switch {
			case c == '\\' && i+1 < len(line) && (strings.IndexByte(`\"'`, line[i+1]) >= 0 || quote == 0 && line[i+1] == ' '):
				i++
				b.WriteByte(line[i])
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				quote = 0
			default:
				b.WriteByte(c)
			}
		}
		if quote != 0 {
			return nil, errQuote
		}
		words = append(words, b.String())
		line = line[i:]
	}
}

// cutKeyword splits "Port 22", "Port=22" and "Port = 22".
func cutKeyword(line string) (keyword, rest string) {
	line = strings.TrimSpace(line)
	i := strings.IndexAny(line, " \t=")
	if i < 0 {
		return line, ""
	}
	rest = strings.TrimLeft(line[i:], " \t")
	if after, ok := strings.CutPrefix(rest, "="); ok {
		rest = strings.TrimLeft(after, " \t")
	}
	return line[:i], rest
}

// wildcard reports whether a pattern of ssh_config(5) with "*" and "?" matches a text.
// Brackets are literal, unlike in path.Match: "[host]:port" is a name.
func wildcard(pattern, text string) bool {
	// At a mismatch only the last star is tried again with one character more, so
	// that a hostile file cannot make the time exponential.
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// MatchPatterns reports whether a pattern of ssh_config(5) matches a text and no pattern
// with "!" does.
func MatchPatterns(patterns []string, text string) bool {
	found := false
	for _, p := range patterns {
		if negated, ok := strings.CutPrefix(p, "!"); ok {
			if wildcard(negated, text) {
				return false
			}
		} else if wildcard(p, text) {
			found = true
		}
	}
	return found
}
