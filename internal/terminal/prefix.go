package terminal

import (
	"bytes"
	"io"
	"sync"
)

// A PrefixWriter writes a prefix before each line. Several that share a mutex may
// write to one stream: each line is written whole.
type PrefixWriter struct {
	prefix string
	out    io.Writer
	mu     *sync.Mutex // guards out
	rest   []byte
}

// NewPrefixWriter returns a writer to out, which mu guards.
func NewPrefixWriter(out io.Writer, mu *sync.Mutex, prefix string) *PrefixWriter {
	return &PrefixWriter{prefix: prefix, out: out, mu: mu}
}

// maxLine bounds the part of a line that is held back, in bytes. A longer line is
// written as several.
const maxLine = 64 << 10

// Write writes the lines that are complete.
func (w *PrefixWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 && len(w.rest) > maxLine {
			return len(p), w.Flush()
		}
		if i < 0 {
			return len(p), nil
		}
		if err := w.line(w.rest[:i+1]); err != nil {
			return 0, err
		}
		w.rest = w.rest[i+1:]
	}
}

// Flush writes the rest of an unfinished line.
func (w *PrefixWriter) Flush() error {
	if len(w.rest) == 0 {
		return nil
	}
	err := w.line(append(w.rest, '\n'))
	w.rest = nil
	return err
}

func (w *PrefixWriter) line(text []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.out.Write(append([]byte(w.prefix), text...))
	return err
}
