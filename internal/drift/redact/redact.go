// Package redact finds the secrets in the text of a file and returns the text without
// them. A secret is found by the format of the file, by the name of the setting that it
// is the value of, and by the pattern of a well-known token. The package is not a scanner
// that proves secrets: where it is not certain, it removes the text, because a diff with
// a gap is better than a leak.
package redact

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// A kind is why a byte is not shown.
type kind uint8

const (
	shown kind = iota
	value
	password
	hash
	token
	privateKey
)

var kinds = [...]string{value: "value", password: "password", hash: "hash", token: "token", privateKey: "private key"}

func kindOf(name string) (kind, bool) {
	for k, n := range kinds {
		if n == name && n != "" {
			return kind(k), true
		}
	}
	return shown, false
}

func redacted(k kind) string { return "[redacted " + kinds[k] + "]" }

// A Text is one version of a file with its secrets marked.
type Text struct {
	content string
	mask    []kind // of each byte
	starts  []int  // of each line
}

// Versions marks the secrets of both versions of a file. What is a secret in one of them
// is not shown in the other either.
func Versions(path, before, after string) (*Text, *Text) {
	a, b := newText(path, before), newText(path, after)
	secrets := append(a.secrets(), b.secrets()...)
	a.hideAll(secrets)
	b.hideAll(secrets)
	return a, b
}

// Line returns one line of text, of a file in no particular format, without its secrets.
func Line(s string) string {
	t := newText("", s)
	return t.show(0, len(s), nil)
}

func newText(path, content string) *Text {
	t := &Text{content: content, mask: make([]kind, len(content)), starts: []int{0}}
	for i := range len(content) {
		if content[i] == '\n' {
			t.starts = append(t.starts, i+1)
		}
	}
	t.mark(path)
	return t
}

// Line returns line n, from 0, without its secrets and without its line feed.
func (t *Text) Line(n int) string {
	from, to := t.span(n)
	return t.show(from, to, nil)
}

// Common returns a line that both versions have, which is line n of t and line m of
// other, without what is a secret in either.
func (t *Text) Common(n int, other *Text, m int) string {
	from, to := t.span(n)
	otherFrom, otherTo := other.span(m)
	if t.content[from:to] != other.content[otherFrom:otherTo] {
		return t.Line(n)
	}
	return t.show(from, to, other.mask[otherFrom:otherTo])
}

// span returns where a line begins and ends; both are 0 if there is no such line.
func (t *Text) span(n int) (from, to int) {
	if n < 0 || n >= len(t.starts) {
		return 0, 0
	}
	from, to = t.starts[n], len(t.content)
	if n+1 < len(t.starts) {
		to = t.starts[n+1] - 1
	}
	return from, to
}

// show returns a part of the text. also marks more of it.
func (t *Text) show(from, to int, also []kind) string {
	at := func(i int) kind {
		if k := t.mask[i]; k != shown || also == nil {
			return k
		}
		return also[i-from]
	}
	var b strings.Builder
	for i := from; i < to; {
		k := at(i)
		end := i + 1
		for end < to && (at(end) != shown) == (k != shown) {
			end++
		}
		part := t.content[i:end]
		switch {
		case k == shown || isRedacted(part) || strings.TrimSpace(part) == "":
			b.WriteString(part)
		default:
			b.WriteString(redacted(k))
		}
		i = end
	}
	return b.String()
}

// isRedacted reports whether text was redacted before.
func isRedacted(s string) bool {
	name, ok := strings.CutPrefix(s, "[redacted ")
	name, ended := strings.CutSuffix(name, "]")
	_, known := kindOf(name)
	return ok && ended && known
}

// hide marks a range. Blanks around it and line ends stay visible.
func (t *Text) hide(from, to int, k kind) {
	for from < to && isBlank(t.content[from]) {
		from++
	}
	for to > from && isBlank(t.content[to-1]) {
		to--
	}
	// A part of a character is not text.
	for from > 0 && from < len(t.content) && !utf8.RuneStart(t.content[from]) && utf8.ValidString(t.content[from-1:min(from+3, len(t.content))]) {
		from--
	}
	for i := from; i < to; i++ {
		if c := t.content[i]; c != '\n' && c != '\r' && t.mask[i] == shown {
			t.mask[i] = k
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// A hidden value of at least minValue bytes is hidden wherever else it occurs; of
// maxValues different ones, which bounds the time.
const (
	minValue  = 6
	maxValues = 128
)

// secrets returns hidden values that are worth to be looked for elsewhere.
func (t *Text) secrets() []string {
	var list []string
	seen := map[string]bool{}
	for i := 0; i < len(t.mask) && len(list) < maxValues; {
		if t.mask[i] == shown {
			i++
			continue
		}
		end := i
		for end < len(t.mask) && t.mask[end] != shown {
			end++
		}
		s := strings.Trim(t.content[i:end], " \t\"'`,;")
		if !seen[s] && len(s) >= minValue && len(s) <= 512 && !isRedacted(s) && isDistinct(s) {
			seen[s] = true
			list = append(list, s)
		}
		i = end
	}
	return list
}

// isDistinct reports whether a value is not an ordinary word: it has digits beside
// letters, or both cases in the middle of a word.
func isDistinct(s string) bool {
	if strings.ContainsAny(s, "[]") && strings.Contains(s, "redacted") {
		return false
	}
	letters, digits := 0, 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letters++
		}
	}
	return letters >= 3 && digits >= 2 || len(s) >= 12 && letters > 0 && digits > 0
}

func (t *Text) hideAll(secrets []string) {
	for _, s := range secrets {
		for from := 0; ; {
			i := strings.Index(t.content[from:], s)
			if i < 0 {
				break
			}
			from += i
			t.hide(from, from+len(s), value)
			from += len(s)
		}
	}
}

// mark finds the secrets of the file.
func (t *Text) mark(path string) {
	f := formatOf(path, t.content)
	m := marker{
		Text: t, format: f,
		rules:              mayMatch(rules(), lowerASCII(t.content)),
		isKubernetesSecret: kubernetesSecret.MatchString(t.content),
	}
	careful := false
	switch f.syntax {
	case jsonSyntax:
		if m.json() {
			m.runs()
			return
		}
		careful = true
	case yamlSyntax:
		careful = !m.yaml()
	case xmlSyntax:
		careful = !m.xml()
	case csvSyntax:
		m.csv()
	}
	m.careful = careful && f.isNamed
	m.lines(view{s: t.content}, 0)
	m.runs()
}

var kubernetesSecret = regexp.MustCompile(`(?m)^\s*(?:- )?["']?kind["']?\s*:\s*["']?Secret["']?\s*,?\s*(?:#.*)?$`)

// A marker marks the secrets of one text.
type marker struct {
	*Text
	format  format
	careful bool   // the file is not in the format that its name says
	rules   []rule // that can match
	shown   []span // that is public although it looks random

	isKubernetesSecret bool
}

// A view is a part of a text, or text that is written in it with escapes.
type view struct {
	s    string
	base int   // position in the text if pos is nil
	pos  []int // position of each byte and of the end
}

func (v view) at(i int) int {
	if v.pos == nil {
		return v.base + i
	}
	return v.pos[i]
}

func (v view) sub(from, to int) view {
	if v.pos == nil {
		return view{s: v.s[from:to], base: v.base + from}
	}
	return view{s: v.s[from:to], pos: v.pos[from : to+1]}
}

func (m *marker) hideIn(v view, from, to int, k kind) {
	if from < to {
		m.hide(v.at(from), v.at(to), k)
	}
}
