package drift

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns foreign text with everything that could act on a terminal or
// deceive a reader written out: control characters, DEL, C1, line breaks, marks
// that change the direction of text or have no width, and bytes that are not
// UTF-8. Tabs stay. It is idempotent.
func Visible(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !acts(r):
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

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// acts reports whether a rune does something else than show itself. Cf are the
// format characters, among them all that change the direction of text.
func acts(r rune) bool {
	return r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co))
}
