package terminal

import (
	"io"

	"github.com/adamant-sh/adamant/internal/text"
)

// A ForeignWriter writes foreign text, such as a container's log, to a terminal.
// Its control characters cannot act on the terminal: see text.Sanitizer. If the
// stream is no terminal, all bytes are passed through unchanged.
type ForeignWriter struct {
	out  io.Writer
	safe *text.Sanitizer // nil if out is no terminal
}

// NewForeignWriter returns a writer to a stream. On a terminal, colours stay if
// colors is set. The caller must call End.
func NewForeignWriter(out io.Writer, colors bool) *ForeignWriter {
	w := &ForeignWriter{out: out}
	if IsTerminal(out) {
		w.safe = &text.Sanitizer{Colors: colors}
	}
	return w
}

// Write implements io.Writer.
func (w *ForeignWriter) Write(p []byte) (int, error) {
	if w.safe == nil {
		return w.out.Write(p)
	}
	if _, err := w.out.Write(w.safe.Append(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// End writes the rest of an incomplete character and ends the colours.
func (w *ForeignWriter) End() error {
	if w.safe == nil {
		return nil
	}
	_, err := w.out.Write(w.safe.End(nil))
	return err
}
