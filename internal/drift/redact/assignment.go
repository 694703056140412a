package redact

import (
	"regexp"
	"strings"
)

// assignments finds names before a separator, from a position on.
func (s *scanner) assignments(line view, from int) {
	floor, inCall := from, false
	for i := from; i < len(line.s); i++ {
		c := line.s[i]
		inCall = inCall || c == '('
		wide := strings.HasPrefix(line.s[i:], "：") || strings.HasPrefix(line.s[i:], "＝")
		if c != '=' && c != ':' && c != ',' && !wide {
			continue
		}
		name, quoted := nameBefore(line.s, floor, i)
		if c == ',' {
			// define('DB_PASSWORD', 'x'): the name is quoted.
			if !quoted || !inCall || strengthOf(name) != strong {
				continue
			}
		}
		start := i + 1
		if wide {
			start = i + len("：")
		}
		for start < len(line.s) && strings.IndexByte("=:>", line.s[start]) >= 0 {
			start++
		}
		if c == ':' && strings.HasPrefix(line.s[i+1:], "//") {
			continue
		}
		how := s.strengthIn(line.s, name, quoted, i)
		if how == none {
			i = start - 1
			continue
		}
		if s.format.isCode && c == ':' && !quoted && strings.TrimSpace(line.s[start:]) == "" {
			continue // a label
		}
		end := s.valueOf(line, start, how)
		if !s.isPlain() || s.below.how != none {
			return
		}
		i = max(end, start) - 1
		floor = i
	}
}

// strengthIn returns the strength of a name in its line.
func (s *scanner) strengthIn(line, name string, quoted bool, sep int) strength {
	if name == "" {
		return none
	}
	switch {
	case s.format.isSudoers && (name == "NOPASSWD" || name == "PASSWD"),
		s.format.isNameService && line[sep] == ':',
		s.format.isPackages && !quoted && (name == "Pin" || name == "Checksum"):
		return none
	}
	how := strengthOf(name)
	if how == none && s.isKubernetesSecret && (name == "data" || name == "stringData" || name == "binaryData") {
		return strong
	}
	return how
}

// nameBefore returns the name that ends before a separator, and whether it is quoted.
// A name that is not may be of several words.
func nameBefore(line string, floor, sep int) (name string, quoted bool) {
	end := sep
	// Other parts of the separator, and what closes the name.
	for end > floor && strings.IndexByte(" \t\\)]}+?|", line[end-1]) >= 0 {
		end--
	}
	if end == floor {
		return "", false
	}
	if q := line[end-1]; q == '"' || q == '\'' || q == '`' {
		end--
		for end > floor && line[end-1] == '\\' {
			end--
		}
		begin := max(floor, end-maxName)
		begin += strings.LastIndexByte(line[begin:end], q) + 1
		return line[begin:end], true
	}
	begin := end
	for begin > floor && end-begin < maxName && isName(line[begin-1]) {
		begin--
	}
	name = line[begin:end]
	if strengthOf(name) != none {
		return name, false
	}
	// "API key: x", "Password (again): x", "password for bob: x"
	if strings.ContainsAny(name, "./@0123456789") {
		return name, false
	}
	first := begin
	for words := 0; words < 3 && first > floor && end-first < maxName; words++ {
		at := first
		for at > floor && strings.IndexByte(" ()", line[at-1]) >= 0 {
			at--
		}
		if at == first {
			break
		}
		if at == floor || !isNameInWords(line[at-1]) {
			break
		}
		first = at
		for first > floor && end-first < maxName && isNameInWords(line[first-1]) {
			first--
		}
		if passed[line[first:at]] {
			break
		}
		if how := strengthOf(line[first:end]); how == strong || how == about && words > 0 {
			return line[first:at], false
		}
	}
	return name, false
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || c == '_' || c == '.' || c == '-' || c == '@' || c == '/'
}

func isNameInWords(c byte) bool {
	return isName(c) && c != '.' && c != '/' && c != '@' && (c < '0' || c > '9')
}

var (
	yamlProperty = regexp.MustCompile(`^(?:[!&][^\s,\[\]{}]*\s+)+`)
	yamlBlock    = regexp.MustCompile(`^[|>][-+0-9]*\s*(?:#.*)?$`)
	afterQuote   = regexp.MustCompile(`^(?:\s*(?:$|[,;)}\]>|&]|/>|\?>)|\s+(?:["']?[\w.-]+["']?\s*[:=]|-|#|//|\\))`)
	prefixed     = regexp.MustCompile(`^(?:[rbfuRBFU@$]{1,2}|new\s+\w+\(|\\)["'` + "`" + `]`)
	nextValue    = regexp.MustCompile(`^\s*,\s*["']`)
	comment      = regexp.MustCompile(`\s(?:#|//|;).*$`)
	moreOfQuery  = regexp.MustCompile(`^[^\s&"'<>]+&[\w.%-]+=`)
)

// valueOf hides the value of a setting that begins at i, and returns where it ends.
func (s *scanner) valueOf(line view, i int, how strength) int {
	text := line.s
	for i < len(text) && isBlank(text[i]) {
		i++
	}
	if property := yamlProperty.FindString(text[i:]); property != "" {
		i += len(property)
	} else if i < len(text) && (text[i] == '!' || text[i] == '&') && !strings.ContainsAny(text[i:], " \t") && len(text)-i > 1 && s.format.syntax == yamlSyntax {
		i = len(text)
	}
	rest := text[i:]
	isBlock := yamlBlock.MatchString(rest)
	if rest == "" || isBlock || strings.HasPrefix(rest, "#") {
		// The value is on the next lines, if they are indented.
		if s.depth == 0 && (how != about || isBlock) {
			s.below = indented{indent: nameColumn(text), how: how, items: !strings.HasPrefix(strings.TrimSpace(text), "- ")}
		}
		return len(text)
	}
	if end := redactedAt(rest); end > 0 {
		return i + end
	}
	if skip := prefixed.FindString(rest); skip != "" {
		i += len(skip) - 1
		rest = text[i:]
	}
	switch c := rest[0]; {
	case c == '"' || c == '\'' || c == '`':
		return s.quoted(line, i, how)
	case (c == '[' || c == '{' || c == '(') && !reference.MatchString(strings.TrimRight(rest, ";, \t")):
		if how == about || how == weak && c == '{' {
			return i + 1 // the names in it tell
		}
		end := s.bracket(text, i)
		if how == weak && s.isPlain() && s.isHarmless(text[i+1:end-1], how) {
			return i + 1
		}
		s.hideIn(line, i, end, value)
		return end
	}
	end := len(text)
	if moreOfQuery.MatchString(rest) { // of a URL
		end = i + strings.IndexByte(rest, '&')
	}
	shown := text[i:end]
	if len(shown) <= maxHarmless && (s.isHarmless(shown, how) || s.isHarmless(comment.ReplaceAllString(shown, ""), how)) {
		return s.skipHarmless(text, i)
	}
	// The first of several values can be harmless: password=true, x
	if first, _, ok := strings.Cut(shown, ","); ok && s.isHarmless(first, how) && strings.ContainsAny(shown, "=:") {
		return i + len(first)
	}
	if how == about {
		if word := firstWord(shown); !isSuspicious(word) {
			return i + len(word)
		}
	}
	s.hideIn(line, i, end, value)
	return end
}

// maxHarmless is the most bytes of a value that is shown.
const maxHarmless = 256

// skipHarmless returns where a harmless value ends. What comes after it is searched for
// other names.
func (s *scanner) skipHarmless(text string, i int) int {
	for i < len(text) && !isBlank(text[i]) && text[i] != ',' && text[i] != ';' && text[i] != '&' {
		i++
	}
	return i
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i]
	}
	return s
}

// nameColumn returns the column in which the name of a YAML line begins, after the
// dashes of lists.
func nameColumn(text string) int {
	i := indentOf(text)
	for strings.HasPrefix(text[i:], "- ") {
		i += 2 + indentOf(text[i+2:])
	}
	return i
}

// redactedAt returns the length of a value that was redacted before.
func redactedAt(s string) int {
	if !strings.HasPrefix(s, "[redacted ") {
		return 0
	}
	if end := strings.IndexByte(s, ']'); end > 0 && isRedacted(s[:end+1]) {
		return end + 1
	}
	return 0
}

// quoted hides a value in quotes, which may end on a later line, and the text that
// follows the quotes without a space.
func (s *scanner) quoted(line view, i int, how strength) int {
	text := line.s
	s.quote = quoteAt(text, i)
	start := i
	empty := s.quote
	i += len(s.quote)
	if len(empty) == 1 && i < len(text) && text[i] == empty[0] { // ""
		s.quote = ""
		i++
	} else {
		i = s.close(text, i)
	}
	closed := s.quote == ""
	if !closed {
		if len(empty) == 1 && s.depth > 0 {
			s.quote = ""
		}
		s.hideIn(line, start, len(text), value)
		return len(text)
	}
	for strings.HasPrefix(text[i:], "'") && empty == "'" { // '' in YAML and SQL
		s.quote = "'"
		i = s.close(text, i+1)
	}
	s.quote = ""
	if !afterQuote.MatchString(text[i:]) {
		s.hideIn(line, start, len(text), value)
		return len(text)
	}
	if s.isHarmless(text[start:i], how) {
		return i
	}
	// "a", "b" as a value of several.
	for next := nextValue.FindString(text[i:]); next != ""; next = nextValue.FindString(text[i:]) {
		at := i + len(next) - 1
		s.quote = text[at : at+1]
		end := s.close(text, at+1)
		s.quote = ""
		if after := strings.TrimLeft(text[end:], " \t"); strings.HasPrefix(after, ":") || strings.HasPrefix(after, "=") {
			break
		}
		i = end
	}
	s.hideIn(line, start, i, value)
	return i
}

// bracket returns where brackets close, or the end of the line.
func (s *scanner) bracket(text string, i int) int {
	s.open = 1
	return s.close(text, i+1)
}
