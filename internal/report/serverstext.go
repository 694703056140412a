package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// maxListed is the most facts, files or repairs of a server that are shown.
const maxListed = 30

// A lineWriter buffers lines and escapes them, because most of them hold text from
// servers.
type lineWriter struct{ *bufio.Writer }

func newLineWriter(w io.Writer) lineWriter { return lineWriter{bufio.NewWriter(w)} }

// printf writes one line, or several if the text holds line breaks.
func (l lineWriter) printf(format string, args ...any) {
	fmt.Fprintln(l, text.EscapeLines(fmt.Sprintf(format, args...)))
}

// oneLine replaces line breaks, because text from a server must not look like lines
// of this program.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// firstLine returns the first line of s, cut to limit runes.
func firstLine(s string, limit int) string { return text.Cut(text.FirstLine(s), limit) }

// ports returns the ports of a service as the end of its line.
func ports(s servers.Service) string {
	var list []string
	for _, p := range s.Ports {
		list = append(list, fmt.Sprintf("%d/%s", p.Number, p.Protocol))
	}
	if len(list) == 0 {
		return ""
	}
	return ", listens on " + strings.Join(list, ", ")
}
