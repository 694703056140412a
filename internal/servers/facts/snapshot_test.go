package facts

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// A server is compared with what it was; what a snapshot does not hold is not
// shown, and a snapshot is what was written.
func TestSnapshotAsBaseline(t *testing.T) {
	peers, _ := connect(t, debian("a"), debian("b").with(disk{"/etc/web.conf": "listen 81\n", "/usr/bin/web": "program 2"}))
	s, err := TakeSnapshot(t.Context(), peers[0])
	must(t, err)
	var b bytes.Buffer
	must(t, s.Write(&b))
	again, err := ReadSnapshot(bytes.NewReader(b.Bytes()))
	must(t, err)
	was, end, err := again.Peer(t.Context(), "before")
	must(t, err)
	defer end()
	c, err := Compare(t.Context(), []*Peer{was, peers[1]}, was)
	must(t, err)
	d := find(c, File, "/etc/web.conf")
	if d == nil || !slices.Equal(d.Odd, []string{"web-2"}) || d.Package != "web" || d.Hidden == "" || d.Text != "" {
		t.Errorf("got %+v", d)
	}
	if c, err = Compare(t.Context(), []*Peer{was, peers[0]}, was); err != nil || len(c.Differences) > 0 {
		t.Errorf("a server differs from its snapshot: %+v, %v", c.Differences, err)
	}
}

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
