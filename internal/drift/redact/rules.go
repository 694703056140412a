package redact

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
)

// The patterns of secrets: those of gitleaks, and our own, which also find what
// is not a token.
var (
	//go:embed gitleaks.txt
	gitleaksRules string
	//go:embed rules.txt
	ownRules string
)

// A rule finds secrets by their own form.
type rule struct {
	kind    kind
	words   []string // of which a line must hold one, in lower case
	pattern func() *regexp.Regexp
}

// rules parses all rules. Their patterns are compiled when they are needed: most
// files need few of them.
var rules = sync.OnceValue(func() []rule {
	var all []rule
	for line := range strings.Lines(ownRules + gitleaksRules) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.SplitN(line, "\t", 3)
		k, _ := kindOf(fields[0])
		all = append(all, rule{
			kind: k, words: strings.Split(fields[1], ","),
			pattern: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(fields[2]) }),
		})
	}
	return all
})

// maxRules is the most rules that are applied to a line. A line that could match more
// is no ordinary text and is hidden, which bounds the time.
const maxRules = 16

// mayMatch returns the rules that a text, in lower case, could match.
func mayMatch(rules []rule, lower string) []rule {
	var some []rule
	for _, r := range rules {
		for _, word := range r.words {
			if strings.Contains(lower, word) {
				some = append(some, r)
				break
			}
		}
	}
	return some
}

// rules hides what the rules find in a line.
func (m *marker) applyRules(line view, lower string) {
	some := mayMatch(m.rules, lower)
	if len(some) > maxRules {
		m.hideIn(line, 0, len(line.s), value)
		return
	}
	for _, r := range some {
		m.applyRule(r, line)
		// ["mysql", "-px"] is a command too. The text keeps its length.
		if strings.Contains(line.s, `"-`) || strings.Contains(line.s, `'-`) {
			m.applyRule(r, view{s: listMarks.Replace(line.s), base: line.base, pos: line.pos})
		}
	}
}

var listMarks = strings.NewReplacer(`"`, " ", "'", " ", ",", " ", "[", " ", "]", " ")

func (m *marker) applyRule(r rule, line view) {
	for _, at := range r.pattern().FindAllStringSubmatchIndex(line.s, -1) {
		if len(at) == 2 {
			m.hideIn(line, at[0], at[1], r.kind)
		}
		for i := 2; i < len(at); i += 2 {
			if at[i] >= 0 && !strings.HasPrefix(line.s[at[i+1]:], "@sha256:") { // the tag of an image
				m.hideIn(line, at[i], at[i+1], r.kind)
			}
		}
	}
}

// lowerASCII returns s in lower case. Positions in it are those in s.
func lowerASCII(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
