package connect

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// This program is sent whole where there is no agent for it.
func TestOwnProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownProgram(self)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, z); err != nil || n != p.size {
		t.Errorf("%d of %d bytes are sent: %v", n, p.size, err)
	}
}
