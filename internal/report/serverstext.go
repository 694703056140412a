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
func firstLine(s string, limit int) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// size formats a number of bytes: 1.5 MiB.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/unit, "KMGTPE"
	for value >= unit && len(prefixes) > 1 {
		value, prefixes = value/unit, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, prefixes[0])
}

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
