package servers

import (
	"strings"
	"testing"
)

// endless is a stream without an end, as a hostile server may send.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestTailOfAnArchiveEnds(t *testing.T) {
	if err := readTail(endless{}); err == nil {
		t.Error("a stream without an end was read as whole")
	}
	if err := readTail(strings.NewReader(strings.Repeat("x", maxTail))); err != nil {
		t.Error(err)
	}
}
