package report

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/adamant-sh/adamant/internal/text"
)

// Text is implemented by results that can be written for people. Their JSON
// document is their encoding by encoding/json.
type Text interface {
	WriteText(w io.Writer, color bool) error
}

// Result is implemented by the results of checks.
type Result interface {
	Text
	Verdict() Verdict
}

// A Printer prints the result of a command.
type Printer interface {
	Print(result Text) error
}

// TextPrinter prints results for people.
type TextPrinter struct {
	Out     io.Writer
	Color   bool // use the colours of a terminal
	Columns int  // of the terminal; 0 if Out is none
}

// Print implements Printer.
func (p TextPrinter) Print(result Text) error {
	if f, ok := result.(fitted); ok && p.Columns > 0 {
		return f.writeFitted(p.Out, p.Color, p.Columns)
	}
	return result.WriteText(p.Out, p.Color)
}

// fitted is implemented by results whose text is fitted to the width of a terminal.
// Others, such as manifests, are printed as they are.
type fitted interface {
	writeFitted(w io.Writer, color bool, columns int) error
}

// wrap writes the text of a result with lines that are broken between words.
func wrap(t Text, w io.Writer, color bool, columns int) error {
	out := text.NewWrapWriter(w, columns)
	if err := t.WriteText(out, color); err != nil {
		return err
	}
	return out.Flush()
}

// A painter colours text for a terminal if it is true.
type painter bool

// The colours, as SGR parameters.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p painter) paint(color, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// JSONPrinter prints results as JSON documents.
type JSONPrinter struct {
	Out io.Writer
}

// Print implements Printer.
func (p JSONPrinter) Print(result Text) error { return writeJSON(p.Out, result) }

// writeJSON writes one indented JSON document. It escapes no HTML, because
// commands and paths hold & and < and are read by people, too, on terminals.
func writeJSON(w io.Writer, document any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return err
	}
	_, err := w.Write(text.EscapeJSON(b.Bytes()))
	return err
}
