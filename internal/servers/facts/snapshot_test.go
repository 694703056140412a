package facts

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzSnapshot(f *testing.F) {
	var b bytes.Buffer
	s := &Snapshot{Kind: snapshotKind, Version: Version, Dirs: map[string][]Node{"/": {{Name: "etc", Kind: "directory"}}}}
	if err := s.Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()/2])
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ReadSnapshot(bytes.NewReader(data))
		if err == nil && s.Kind != snapshotKind {
			t.Errorf("%q is taken for a snapshot", s.Kind)
		}
		if err != nil && s != nil {
			t.Error("an error, and a snapshot")
		}
	})
}

func TestNoSnapshot(t *testing.T) {
	for _, text := range []string{"", "x", "kind: Pod\n"} {
		if _, err := ReadSnapshot(bytes.NewReader([]byte(text))); !errors.Is(err, ErrNoSnapshot) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
