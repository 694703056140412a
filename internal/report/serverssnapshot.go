package report

import (
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
)

// ServerSnapshot is the document of `servers snapshot -o json`.
type ServerSnapshot struct {
	document.Header
	Server  string          `json:"server"`
	File    string          `json:"file"`  // the snapshot
	Facts   int             `json:"facts"` // their number
	Summary servers.Summary `json:"summary"`
}

// NewServerSnapshot returns the document of a snapshot that was written to a file.
func NewServerSnapshot(s *servers.Snapshot, file string) ServerSnapshot {
	return ServerSnapshot{document.NewHeader(document.ServerSnapshot), s.Name, file, len(s.Facts), s.Summary}
}

// Verdict returns Incomplete if something could not be read.
func (s ServerSnapshot) Verdict() Verdict { return verdictOf(false, len(s.Summary.Unknowns) > 0) }

// WriteText implements Text.
func (s ServerSnapshot) WriteText(w io.Writer, _ bool) error {
	l := newLineWriter(w)
	l.printf("%s: %d files, %d facts, in %s", s.Server, s.Summary.Entries, s.Facts, s.File)
	return l.Flush()
}
