package drift

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	udiff "github.com/aymanbagabas/go-udiff"

	"github.com/adamant-sh/adamant/internal/drift/redact"
	"github.com/adamant-sh/adamant/internal/text"
)

// lineLimit is the maximum number of characters of a line in a diff.
const lineLimit = 400

// Redact returns a line of text without the values that look like secrets.
func Redact(s string) string { return redact.Line(s) }

// source is the content of one side of a change.
type source struct {
	content  string
	size     int64 // bytes of the whole file
	isAbsent bool  // there is no regular file on this side
	isBinary bool
	isLarge  bool
}

func (t source) words() string {
	if t.isAbsent {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes", t.size)
}

func noDiff(format string, args ...any) string {
	return "(" + text.Escape(fmt.Sprintf(format, args...)) + ")\n"
}

// isBinary reports whether content is not text: a NUL byte, or mostly bytes
// that are not UTF-8. Latin-1 text stays text.
func isBinary(content []byte) bool {
	if bytes.IndexByte(content, 0) >= 0 {
		return true
	}
	wrong := 0
	for rest := content; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			wrong++
		}
		rest = rest[n:]
	}
	return wrong*10 > len(content)
}

// TextDiff returns the unified diff of two versions of a file, of at most limit
// bytes and without secrets. If the file cannot be shown, it returns the reason.
func TextDiff(path string, before, after []byte, limit int) string {
	side := func(content []byte) source {
		return source{content: string(content), size: int64(len(content)), isBinary: isBinary(content)}
	}
	return unified(path, side(before), side(after), limit)
}

// unified returns a unified diff of at most limit bytes, and a note if it was
// truncated. Lines are compared with their secrets but shown without them, so that the
// change of a password is visible.
func unified(path string, before, after source, limit int) string {
	old, new := "a"+path, "b"+path
	if before.isAbsent {
		old = "/dev/null"
	}
	if after.isAbsent {
		new = "/dev/null"
	}
	for _, side := range []source{before, after} {
		if why := redact.Withheld(path, side.content); why != "" && before.content != after.content {
			return noDiff("content not shown: %s", why)
		}
	}
	edits := udiff.Lines(before.content, after.content)
	u, err := udiff.ToUnifiedDiff(old, new, before.content, edits, udiff.DefaultContextLines)
	if err != nil {
		return noDiff("%v", err)
	}
	if len(u.Hunks) == 0 {
		return ""
	}
	w := diffWriter{limit: limit}
	w.before, w.after = redact.Versions(path, before.content, after.content)
	fmt.Fprintf(&w.out, "--- %s\n+++ %s\n", text.Escape(old), text.Escape(new))
	for _, h := range u.Hunks {
		w.hunk(h)
	}
	return w.String()
}

// diffWriter writes hunks up to its limit, and counts the lines beyond it.
type diffWriter struct {
	out           strings.Builder
	limit         int
	cut           int // lines that were not written
	before, after *redact.Text
}

func (w *diffWriter) hunk(h *udiff.Hunk) {
	from, to := 0, 0
	for _, l := range h.Lines {
		if l.Kind != udiff.Insert {
			from++
		}
		if l.Kind != udiff.Delete {
			to++
		}
	}
	if w.cut == 0 {
		fmt.Fprintf(&w.out, "@@ -%s +%s @@\n", span(h.FromLine, from), span(h.ToLine, to))
	}
	atOld, atNew := h.FromLine-1, h.ToLine-1
	for _, l := range h.Lines {
		switch l.Kind {
		case udiff.Delete:
			w.line("-", w.before.Line(atOld), l.Content)
			atOld++
		case udiff.Insert:
			w.line("+", w.after.Line(atNew), l.Content)
			atNew++
		default:
			w.line(" ", w.before.Common(atOld, w.after, atNew), l.Content)
			atOld++
			atNew++
		}
	}
}

// line writes one line of the diff: the mark and shown, the redacted line. content is the
// line before redaction.
func (w *diffWriter) line(mark, shown, content string) {
	if w.cut > 0 {
		w.cut++
		return
	}
	line, ended := strings.CutSuffix(content, "\n")
	line = mark + shorten(text.Escape(shown), len(line)) + "\n"
	if !ended {
		line += "\\ No newline at end of file\n"
	}
	if w.out.Len()+len(line) > w.limit {
		w.cut = 1
		return
	}
	w.out.WriteString(line)
}

// shorten returns the beginning of a line of size bytes: a minified file can be one long
// line.
func shorten(line string, size int) string {
	shown := []rune(line)
	if len(shown) <= lineLimit {
		return line
	}
	return string(shown[:lineLimit]) + fmt.Sprintf("… (a line of %d bytes)", size)
}

func (w *diffWriter) String() string {
	switch w.cut {
	case 0:
	case 1:
		w.out.WriteString("(1 more line of the diff is not shown)\n")
	default:
		fmt.Fprintf(&w.out, "(%d more lines of the diff are not shown)\n", w.cut)
	}
	return w.out.String()
}

// span is a line range as diff -u writes it.
func span(first, count int) string {
	switch {
	case count == 1:
		return fmt.Sprint(first)
	case count == 0:
		return fmt.Sprintf("%d,0", first-1)
	}
	return fmt.Sprintf("%d,%d", first, count)
}
