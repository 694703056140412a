package terminal

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestForeignWriter(t *testing.T) {
	const text = "\x1b[31mred\x1b[0m\n\x1b]52;c;eA==\x07\x1b[2Jgone\r\nend\x1b"
	write := func(out io.Writer) {
		w := NewForeignWriter(out, true)
		for _, c := range []byte(text) {
			if _, err := w.Write([]byte{c}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
	}
	tty, written := openTerminal(t, 80)
	write(tty)
	if got, want := written(), "\x1b[31mred\x1b[0m\x1b[0m\n\\x1b]52;c;eA==\\x07\\x1b[2Jgone\nend\\x1b"; got != want {
		t.Errorf("on a terminal: %q, want %q", got, want)
	}
	var pipe bytes.Buffer
	write(&pipe)
	if got := pipe.String(); got != text {
		t.Errorf("elsewhere: %q, want %q", got, text)
	}
}

// The memory of a line that does not end is bounded.
func TestPrefixWriterLongLine(t *testing.T) {
	var out bytes.Buffer
	w := NewPrefixWriter(&out, &sync.Mutex{}, "p | ")
	for range 3 * maxLine / 1024 {
		if _, err := w.Write(bytes.Repeat([]byte{'x'}, 1024)); err != nil {
			t.Fatal(err)
		}
		if len(w.rest) > maxLine+1024 {
			t.Fatalf("%d bytes are held back", len(w.rest))
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "p | x") {
			t.Fatalf("a line without its prefix: %.20q", line)
		}
	}
	if got := strings.Count(out.String(), "x"); got != 3*maxLine {
		t.Errorf("%d bytes arrived, want %d", got, 3*maxLine)
	}
}
