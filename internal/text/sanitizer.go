package text

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// A Sanitizer makes a stream of foreign text safe to print on a terminal. It is
// EscapeLines for text that comes in pieces, except that colours and styles (SGR
// sequences) stay if Colors is set, and are removed if it is not. They end with
// their line. The zero value works.
type Sanitizer struct {
	Colors bool

	rest    []byte // the beginning of a character or a sequence, at most maxSequence
	painted bool   // a colour is set
}

// maxSequence bounds an SGR sequence, in bytes. 24-bit colours of text and background
// have 40.
const maxSequence = 64

const resetColors = "\x1b[0m"

// Append appends the safe form of p to dst. It holds back a character or sequence
// that p does not complete.
func (s *Sanitizer) Append(dst, p []byte) []byte {
	in := append(s.rest, p...)
	for len(in) > 0 {
		n := s.next(in)
		if n == 0 {
			break
		}
		dst = s.piece(dst, in[:n])
		in = in[n:]
	}
	s.rest = bytes.Clone(in)
	return dst
}

// End appends what was held back, and ends the colours.
func (s *Sanitizer) End(dst []byte) []byte {
	dst = append(dst, escape(string(s.rest), isControl)...)
	s.rest = nil
	return s.endColors(dst)
}

// next returns the length of the first character or sequence, or 0 if it is not
// complete.
func (s *Sanitizer) next(in []byte) int {
	switch in[0] {
	case '\x1b':
		n, complete := sequence(in)
		if !complete {
			return 0
		}
		return max(n, 1)
	case '\r':
		if len(in) == 1 {
			return 0
		}
		if in[1] == '\n' {
			return 2
		}
		return 1
	}
	if !utf8.FullRune(in) {
		return 0
	}
	_, n := utf8.DecodeRune(in)
	return n
}

// sequence returns the length of the SGR sequence (ECMA-48, 8.3.117) that in begins
// with, or 0 if it begins with another one. complete is false if more input is needed
// to decide that.
func sequence(in []byte) (n int, complete bool) {
	for i, c := range in[:min(len(in), maxSequence)] {
		switch {
		case i == 0, i == 1 && c == '[':
		case i > 1 && c == 'm':
			return i + 1, true
		case i > 1 && (c >= '0' && c <= ';'):
		default:
			return 0, true
		}
	}
	return 0, len(in) >= maxSequence
}

// piece appends one character or sequence.
func (s *Sanitizer) piece(dst, p []byte) []byte {
	switch {
	case p[0] == '\n', string(p) == "\r\n":
		return append(s.endColors(dst), '\n')
	case p[0] == '\x1b' && len(p) > 1:
		if !s.Colors {
			return dst
		}
		s.painted = true
		return append(dst, p...)
	}
	if len(p) == 1 && p[0] >= ' ' && p[0] < 0x7f {
		return append(dst, p[0])
	}
	return append(dst, escape(string(p), isControl)...)
}

func (s *Sanitizer) endColors(dst []byte) []byte {
	if s.painted {
		dst = append(dst, resetColors...)
	}
	s.painted = false
	return dst
}

// EscapeJSON returns a JSON document in which the characters that Escape escapes are
// written as \u202e: the document is the same, and safe to print on a terminal.
// encoding/json does so only below U+0020.
func EscapeJSON(document []byte) []byte {
	if isPlain(document) {
		return document
	}
	out := make([]byte, 0, len(document)+64)
	for len(document) > 0 {
		r, n := utf8.DecodeRune(document)
		switch {
		case r < ' ' || r == utf8.RuneError || !isControl(r): // below a space there is only white space outside of strings
			out = append(out, document[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		document = document[n:]
	}
	return out
}

// EscapeYAML is EscapeJSON for YAML. The characters must be in double quotes.
func EscapeYAML(document []byte) []byte {
	if isPlain(document) {
		return document
	}
	out := make([]byte, 0, len(document)+64)
	for len(document) > 0 {
		r, n := utf8.DecodeRune(document)
		switch {
		case r == '\n' || r == utf8.RuneError || !isControl(r):
			out = append(out, document[:n]...)
		case r > 0xffff:
			out = fmt.Appendf(out, `\U%08x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		document = document[n:]
	}
	return out
}

func isPlain(document []byte) bool {
	return !bytes.ContainsFunc(document, func(r rune) bool { return r >= 0x7f })
}
