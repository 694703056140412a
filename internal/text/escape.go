// Package text writes text for people: it makes foreign bytes safe to print, and
// counts things in words. It is pure.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape returns foreign text in a form that is safe to print on a terminal and
// in a log. Control characters, line breaks, C1, marks that change the direction
// of text or have no width, and bytes that are not UTF-8 become \x1b or \u202e.
// Tabs stay. Escape is idempotent, because several layers may escape one text on
// its way out.
func Escape(s string) string { return escape(s, isControl) }

// EscapeLines is Escape for text of several lines: line breaks stay.
func EscapeLines(s string) string {
	return escape(s, func(r rune) bool { return r != '\n' && isControl(r) })
}

// EscapeInvalid escapes only bytes that are not UTF-8. JSON replaces each of them
// by U+FFFD, which would make different names equal.
func EscapeInvalid(s string) string {
	return escape(s, func(rune) bool { return false })
}

// Excerpt is Escape of at most the first limit bytes, for foreign text that may
// be arbitrarily long.
func Excerpt(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return Escape(s)
}

func escape(s string, must func(rune) bool) string {
	if isPrintableASCII(s) {
		return s // nearly all text is
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !must(r):
			b.WriteString(s[:n])
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isControl reports whether a terminal or a reader would act on a rune instead of
// showing it. Cf are the format characters, among them all that change the
// direction of text. Co are for private use: each font shows them differently.
func isControl(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co))
}
