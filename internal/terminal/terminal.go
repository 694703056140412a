// Package terminal writes to a terminal what changes while a command runs:
// progress above which lines appear, a picture that is redrawn, and the output
// of several sources line by line. It also asks for passwords, and passes a
// terminal on to a program elsewhere. It knows nothing about the work that it shows.
package terminal

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Columns returns the width of a stream that is a terminal, and 0 for another one.
func Columns(stream any) int {
	if !IsTerminal(stream) {
		return 0
	}
	return columns(stream.(*os.File))
}

// columns returns the width of a terminal.
func columns(f *os.File) int {
	width, _ := size(f)
	return width
}

// size returns the width and the height of a terminal. A dimension that the terminal
// does not report, as on a serial line, is that of a VT100.
func size(f *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 80, 24
	}
	return cmp.Or(columns, 80), cmp.Or(rows, 24)
}

// A Picture is text that is redrawn in place. Its terminal must show nothing else
// meanwhile. The zero Picture has not drawn anything.
type Picture struct {
	lines int // of the text that is shown
}

// Draw replaces the text. It is cut to the size of out if that is a terminal: a line
// that wraps, or that left the screen, could not be drawn over.
func (p *Picture) Draw(out io.Writer, picture string) {
	if f, ok := out.(*os.File); ok {
		width, height := size(f)
		lines := strings.Split(strings.TrimSuffix(picture, "\n"), "\n")
		if room := max(height-1, 1); len(lines) > room {
			more := len(lines) - room + 1
			lines = append(lines[:room-1:room-1], fmt.Sprintf("  and %d more lines", more))
		}
		var b strings.Builder
		for _, line := range lines {
			b.WriteString(fit(line, width) + "\n")
		}
		picture = b.String()
	}
	if p.lines > 0 {
		picture = fmt.Sprintf("\x1b[%dA\x1b[J", p.lines) + picture // up, and clear what is below
	}
	p.lines = strings.Count(picture, "\n")
	io.WriteString(out, picture)
}

// fit cuts a line to a terminal's width. Sequences that set colours have no
// width.
func fit(line string, width int) string {
	n, inSequence := 0, false
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\x1b':
			inSequence = true
		case inSequence:
			inSequence = r != 'm'
		default:
			if n++; n >= width {
				return -1
			}
		}
		return r
	}, line)
}
