package redact

import (
	"regexp"
	"strings"
)

// A scanner goes through text line by line. It knows which secrets of several lines a
// line belongs to, in whatever format: what is indented below a name, quotes, brackets,
// here-documents, sections, and keys in PEM.
type scanner struct {
	*marker
	depth int

	pem     bool
	public  bool     // a certificate or another public block in PEM
	quote   string   // that closes what is hidden
	open    int      // brackets to close
	heredoc string   // line that ends what is hidden
	below   indented // what is indented more than a name
	section bool     // of settings that are secrets
	values  bool     // of an INSERT, to the semicolon
	columns []bool   // of a table between bars: those that hold secrets
	item    bool     // the item before was an option that takes a secret
	pair    bool     // the line before was the name of a secret; its value is next
}

type indented struct {
	indent int
	how    strength // none: nothing is hidden
	items  bool     // items of a list at the same indent belong to the name
}

var (
	pemBegin     = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY(?: BLOCK)?|PGP MESSAGE|PRIVATE)-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|BEGIN OpenVPN Static key`)
	pemEnd       = regexp.MustCompile(`-----END [A-Z0-9 ]*(?:PRIVATE KEY(?: BLOCK)?|PGP MESSAGE|PRIVATE)-----|---- END SSH2 ENCRYPTED PRIVATE KEY ----|END OpenVPN Static key`)
	publicBegin  = regexp.MustCompile(`^\s*-----BEGIN (?:(?:X509 |TRUSTED |NEW )?CERTIFICATE(?: REQUEST)?|(?:RSA |EC |DSA )?PUBLIC KEY|PGP PUBLIC KEY BLOCK|PGP SIGNATURE|X509 CRL|PKCS7|(?:DH|EC|DSA) PARAMETERS|SSH SIGNATURE)-----\s*$`)
	publicLine   = regexp.MustCompile(`^\s*(?:[A-Za-z0-9+/=]{1,80}|[A-Z][A-Za-z-]+: .*)?\s*$`)
	elementText  = regexp.MustCompile(`<([A-Za-z][\w:.-]*)(?:\s[^<>]*)?>([^<]+)`)
	elementStart = regexp.MustCompile(`^\s*<([A-Za-z][\w:.-]*)>\s*$`)
	sectionStart = regexp.MustCompile(`^\s*\[+\s*([^\[\]]+?)\s*\]+\s*(?:[#;].*)?$`)
	blockStart   = regexp.MustCompile(`^\s*(?:(?:variable|output|resource|data|secret|local)\s+)?["']?([\w.-]+)["']?\s*[:=]?\s*[{(\[]\s*$`)
	hereDoc      = regexp.MustCompile(`<<[-~]?\s*\\?["']?([A-Za-z_]\w*)["']?`)
	copyStart    = regexp.MustCompile(`(?i)^\s*copy\s+.*\(.*\)\s+from\s+stdin`)
	insertStart  = regexp.MustCompile(`(?i)\binsert\s+(?:ignore\s+)?into\b`)
	optionItem   = regexp.MustCompile(`^\s*-\s+["']?--?([A-Za-z][\w-]*)["']?,?\s*$`)
	questionKey  = regexp.MustCompile(`^\s*(?:- )?\?\s+["']?([^"':]+?)["']?\s*$`)
)

// lines marks the secrets of a text of several lines.
func (m *marker) lines(v view, depth int) {
	s := scanner{marker: m, depth: depth}
	for from := 0; from < len(v.s); {
		end := strings.IndexByte(v.s[from:], '\n')
		if end < 0 {
			end = len(v.s)
		} else {
			end += from
		}
		line, next := v.sub(from, end), end+1
		if s.isPlain() && isContinued(line.s) {
			line, next = joined(v, from)
		}
		s.line(line)
		from = next
	}
}

// unescaped returns a view in which \u0061 is resolved.
func (v view) unescaped() view {
	var b strings.Builder
	var pos []int
	for i := 0; i < len(v.s); {
		text, n := v.s[i:i+1], 1
		if v.s[i] == '\\' && i+6 <= len(v.s) {
			if t := unescapeName(v.s[i : i+6]); len(t) < 4 {
				text, n = t, 6
			}
		}
		b.WriteString(text)
		for range len(text) {
			pos = append(pos, v.at(i))
		}
		i += n
	}
	return view{s: b.String(), pos: append(pos, v.at(len(v.s)))}
}

func (s *scanner) isPlain() bool {
	return !s.pem && !s.public && s.quote == "" && s.open == 0 && s.heredoc == ""
}

// isContinued reports whether a line ends in a backslash that joins the next to it.
func isContinued(s string) bool {
	s = strings.TrimRight(s, "\r")
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

// joined returns the line that begins at from with those that continue it, without the
// backslashes, and where the next line begins.
func joined(v view, from int) (view, int) {
	var b strings.Builder
	var pos []int
	for from < len(v.s) {
		end := strings.IndexByte(v.s[from:], '\n')
		if end < 0 {
			end = len(v.s)
		} else {
			end += from
		}
		part := strings.TrimRight(v.s[from:end], "\r")
		more := isContinued(part)
		if more {
			part = part[:len(part)-1]
		}
		for i := range len(part) {
			b.WriteByte(part[i])
			pos = append(pos, v.at(from+i))
		}
		from = end + 1
		if !more || from >= len(v.s) {
			pos = append(pos, v.at(min(end, len(v.s))))
			return view{s: b.String(), pos: pos}, from
		}
		for from < len(v.s) && (v.s[from] == ' ' || v.s[from] == '\t') {
			from++
		}
	}
	pos = append(pos, v.at(len(v.s)))
	return view{s: b.String(), pos: pos}, from
}

func indentOf(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// line marks one line by what the lines before it began, or else by itself.
func (s *scanner) line(line view) {
	line.s = strings.TrimRight(line.s, "\r")
	if strings.Contains(line.s, `\u00`) {
		line = line.unescaped()
	}
	text := strings.TrimSpace(line.s)
	switch {
	case s.pem:
		s.hideIn(line, 0, len(line.s), privateKey)
		s.pem = !pemEnd.MatchString(line.s)
		return
	case s.public:
		// Only what is base64 is part of the block.
		s.public = publicLine.MatchString(line.s)
		if s.public {
			s.shown = append(s.shown, span{line.at(0), line.at(len(line.s))})
			return
		}
	case s.heredoc != "":
		if text == s.heredoc || s.heredoc == `\.` && text == `\.` {
			s.heredoc = ""
			return
		}
		s.hideIn(line, 0, len(line.s), value)
		return
	case s.quote != "" || s.open > 0:
		end := s.close(line.s, 0)
		s.hideIn(line, 0, end, value)
		if end < len(line.s) {
			s.assignments(line, end)
		}
		return
	case s.values:
		s.hideIn(line, 0, len(line.s), value)
		s.values = !strings.HasSuffix(text, ";")
		return
	case text == "":
		return
	}
	if s.below.how != none && s.isBelow(line.s, text) {
		s.hideBelow(line, text)
		return
	}
	// Password:
	// x
	if s.below.how == strong && s.format.isProse && !strings.ContainsAny(text, " \t") && isSuspicious(text) {
		s.hideIn(line, 0, len(line.s), value)
		s.below = indented{}
		return
	}
	if s.pair {
		s.pair = false
		if text[0] == ':' {
			s.hideIn(line, strings.IndexByte(line.s, ':')+1, len(line.s), value)
			s.below = indented{indent: indentOf(line.s), how: strong, items: true}
			return
		}
	}
	s.plain(line, text)
}

// isBelow reports whether a line is indented below the name of a secret.
func (s *scanner) isBelow(line, text string) bool {
	n := indentOf(line)
	isItem := text == "-" || strings.HasPrefix(text, "- ")
	return n > s.below.indent || n == s.below.indent && isItem && s.below.items
}

// hideBelow hides a line below the name of a secret: all of it, or a value that is not
// harmless.
func (s *scanner) hideBelow(line view, text string) {
	if s.below.how == strong {
		s.hideIn(line, 0, len(line.s), value)
		return
	}
	outer := s.below
	start := nameColumn(line.s)
	if i := strings.IndexAny(line.s[start:], ":="); i >= 0 {
		start += i + 1
	}
	if !s.isHarmless(line.s[start:], outer.how) {
		s.hideIn(line, start, len(line.s), value)
	}
	s.plain(line, text)
	if s.below.how == none && s.isPlain() {
		s.below = outer
	}
}

// plain marks a line that continues nothing.
func (s *scanner) plain(line view, text string) {
	s.below = indented{}
	if m := sectionStart.FindStringSubmatch(line.s); m != nil {
		s.section = strengthOf(m[1]) == strong && !s.format.isGit
		return
	}
	if at := pemBegin.FindStringIndex(line.s); at != nil {
		end := len(line.s)
		if ends := pemEnd.FindAllStringIndex(line.s, -1); len(ends) > 0 {
			end = ends[len(ends)-1][1]
		} else {
			s.pem = true
		}
		s.hideIn(line, at[0], end, privateKey)
		if s.pem {
			return
		}
	}
	if m := elementStart.FindStringSubmatch(line.s); m != nil && strengthOf(m[1]) == strong {
		s.heredoc = "</" + m[1] + ">"
		return
	}
	s.table(line, text)
	if publicBegin.MatchString(line.s) {
		s.public = true
		return
	}
	lower := lowerASCII(line.s)
	s.applyRules(line, lower)
	if s.item && strings.HasPrefix(text, "- ") {
		s.hideIn(line, strings.Index(line.s, "- ")+2, len(line.s), value)
	}
	m := optionItem.FindStringSubmatch(line.s)
	if s.item = m != nil && strengthOf(m[1]) >= weak; s.item {
		return
	}
	if m := questionKey.FindStringSubmatch(line.s); m != nil && strengthOf(m[1]) >= weak {
		s.pair = true
		return
	}
	if m := blockStart.FindStringSubmatch(line.s); m != nil && strengthOf(m[1]) == strong && !s.format.isCode {
		s.open = 1
		return
	}
	if hasSecretWord(lower) {
		if m := hereDoc.FindStringSubmatchIndex(line.s); m != nil {
			s.heredoc = line.s[m[2]:m[3]]
		}
		if copyStart.MatchString(line.s) {
			s.heredoc = `\.`
			return
		}
		if at := insertStart.FindStringIndex(line.s); at != nil {
			if i := strings.Index(lower[at[0]:], "values"); i >= 0 {
				s.hideIn(line, at[0]+i+len("values"), len(line.s), value)
			}
			s.values = !strings.HasSuffix(text, ";")
			return
		}
	}
	if s.section {
		if i := strings.IndexAny(line.s, "=:"); i >= 0 && !isComment(text) {
			s.valueOf(line, i+1, strong)
			return
		}
	}
	s.assignments(line, 0)
	if strings.Contains(line.s, "</") {
		for _, at := range elementText.FindAllStringSubmatchIndex(line.s, -1) {
			if how := strengthOf(line.s[at[2]:at[3]]); how != none && !s.isHarmless(line.s[at[4]:at[5]], how) {
				s.hideIn(line, at[4], at[5], value)
			}
		}
	}
	s.settings(line, text)
}

// table hides the columns of a table in Markdown whose names are those of secrets.
func (s *scanner) table(line view, text string) {
	if text[0] != '|' {
		s.columns = nil
		return
	}
	cells := strings.Split(line.s, "|")
	if s.columns == nil {
		s.columns = make([]bool, len(cells))
		for i, cell := range cells {
			s.columns[i] = strengthOf(cell) == strong
		}
		return
	}
	at := 0
	for i, cell := range cells {
		if i < len(s.columns) && s.columns[i] && strings.Trim(cell, " -:") != "" {
			s.hideIn(line, at, at+len(cell), value)
		}
		at += len(cell) + 1
	}
}

// close finds the end of what is hidden, which closes a quote or brackets that an
// earlier line or part of the line opened.
func (s *scanner) close(line string, i int) int {
	for i < len(line) {
		if s.quote != "" {
			switch {
			case line[i] == '\\' && len(s.quote) > 0 && s.quote != "'" && i+1 < len(line):
				i += 2
				continue
			case strings.HasPrefix(line[i:], s.quote):
				i += len(s.quote)
				s.quote = ""
				if s.open == 0 {
					return i
				}
				continue
			}
			i++
			continue
		}
		switch c := line[i]; c {
		case '{', '[', '(':
			s.open++
		case '}', ']', ')':
			if s.open--; s.open <= 0 {
				s.open = 0
				return i + 1
			}
		case '"', '\'':
			s.quote = quoteAt(line, i)
			i += len(s.quote)
			continue
		}
		i++
	}
	// An apostrophe is no quote that lasts for lines.
	if s.open > 0 && len(s.quote) == 1 {
		s.quote = ""
	}
	return len(line)
}

// quoteAt returns the quote at i: """, ”' or a single one.
func quoteAt(line string, i int) string {
	q := line[i : i+1]
	if strings.HasPrefix(line[i:], q+q+q) {
		return q + q + q
	}
	return q
}
