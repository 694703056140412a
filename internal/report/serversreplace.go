package report

import (
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
)

// ServerReplacement is the document of `servers replace -o json`.
type ServerReplacement struct {
	document.Header
	Server    string   `json:"server"`
	Services  []string `json:"services"`  // with their addresses, which answer
	Connected int      `json:"connected"` // connections to the old server's services
	Removable bool     `json:"removable"` // nothing is connected to it
}

// NewServerReplacement returns the document of a server that was replaced.
func NewServerReplacement(server string, r servers.Replaced) ServerReplacement {
	s := ServerReplacement{document.NewHeader(document.ServerReplacement), server, r.Answered, r.Connected, r.Connected == 0}
	if s.Services == nil {
		s.Services = []string{} // not null in JSON
	}
	return s
}

// Verdict returns Findings if the server is still in use.
func (r ServerReplacement) Verdict() Verdict { return verdictOf(!r.Removable, false) }

// WriteText implements Text.
func (r ServerReplacement) WriteText(w io.Writer, _ bool) error {
	l := newLineWriter(w)
	for _, s := range r.Services {
		l.printf("%s answers in its place", s)
	}
	if r.Removable {
		l.printf("%s is ready to be removed: nobody is connected to its services", r.Server)
	} else {
		l.printf("%s is still in use: %d connections to its services; point their names or balancers to the new addresses", r.Server, r.Connected)
	}
	return l.Flush()
}
