package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServerWatch is the document of a round of `servers watch -o json`.
type ServerWatch struct {
	document.Header
	At time.Time `json:"at"`
	News
}

// NewServerWatch returns the document of a round that ended at a time.
func NewServerWatch(n News, at time.Time) ServerWatch {
	return ServerWatch{document.NewHeader(document.ServerWatch), at, n}
}

// WriteText implements Text.
func (s ServerWatch) WriteText(w io.Writer, color bool) error {
	return writeNews(w, s.News, s.At, color)
}

// JSONLinePrinter prints each result as a JSON document on a line of its own, for
// commands that print many.
type JSONLinePrinter struct {
	Out io.Writer
}

// Print implements Printer.
func (p JSONLinePrinter) Print(result Text) error {
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = p.Out.Write(append(text.EscapeJSON(line), '\n'))
	return err
}
