package text

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// A WrapWriter breaks lines between words, so that a terminal of so many columns does
// not break them in the middle of one. The rest of a line is indented. A word that is
// longer than a line gets lines of its own, which the terminal breaks: nothing is cut
// off.
type WrapWriter struct {
	out     io.Writer
	columns int
	rest    []byte // of a line without its end
}

// NewWrapWriter returns a writer to out. The caller must call Flush.
func NewWrapWriter(out io.Writer, columns int) *WrapWriter {
	return &WrapWriter{out: out, columns: columns}
}

// Write writes the lines that are complete.
func (w *WrapWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	end := bytes.LastIndexByte(w.rest, '\n') + 1
	var b strings.Builder
	for line := range strings.Lines(string(w.rest[:end])) {
		b.WriteString(Wrap(strings.TrimSuffix(line, "\n"), w.columns))
		b.WriteByte('\n')
	}
	w.rest = append(w.rest[:0], w.rest[end:]...)
	if _, err := io.WriteString(w.out, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes a line without its end.
func (w *WrapWriter) Flush() error {
	_, err := io.WriteString(w.out, Wrap(string(w.rest), w.columns))
	w.rest = nil
	return err
}

// hanging is the additional indent of the rest of a line, in columns.
const hanging = 4

// Wrap breaks one line between words. Sequences that set colours have no width.
func Wrap(line string, columns int) string {
	if Width(line) <= columns {
		return line
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	var b strings.Builder
	used := 0 // columns of the current line
	for rest := line; rest != ""; {
		space := rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
		rest = rest[len(space):]
		word := rest
		if end := strings.IndexAny(rest, " \t"); end >= 0 {
			word = rest[:end]
		}
		rest = rest[len(word):]
		n := Width(word)
		switch {
		case n == 0:
		case used == 0, used+Width(space)+n <= columns:
			b.WriteString(space)
			used += Width(space)
		default:
			// Less of an indent, if the word then fits.
			used = max(min(indent+hanging, columns-n), 0)
			b.WriteByte('\n')
			b.WriteString(strings.Repeat(" ", used))
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// Width returns the columns that a line takes. A tab counts as eight.
func Width(line string) int {
	n := 0
	for line != "" {
		if strings.HasPrefix(line, "\x1b[") {
			if end := strings.IndexByte(line, 'm'); end >= 0 {
				line = line[end+1:]
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(line)
		if n++; r == '\t' {
			n += 7
		}
		line = line[size:]
	}
	return n
}
