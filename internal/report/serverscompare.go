package report

import (
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
)

// ServerComparison is the document of `servers compare -o json`.
type ServerComparison struct {
	document.Header
	servers.Comparison
	opts ServersOptions // of the text
}

// NewServerComparison returns the document of a comparison. opts configures its
// text; the colour is that of the printer.
func NewServerComparison(c servers.Comparison, opts ServersOptions) ServerComparison {
	return ServerComparison{document.NewHeader(document.ServerComparison), c, opts}
}

// Verdict returns Incomplete if something could not be compared, and Findings if
// the servers differ.
func (c ServerComparison) Verdict() Verdict { return VerdictOf(c.Comparison) }

// WriteText implements Text.
func (c ServerComparison) WriteText(w io.Writer, color bool) error {
	return writeServers(w, c.Comparison, c.opts, color)
}

// VerdictOf returns the verdict of a comparison of servers.
func VerdictOf(c servers.Comparison) Verdict { return verdictOf(c.Differs(), !c.Complete()) }
