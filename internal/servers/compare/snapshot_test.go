package compare

import (
	"bytes"
	"slices"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

// A server is compared with a snapshot of itself, which is equal after writing and
// reading. Content that the snapshot does not hold is not shown.
func TestSnapshotAsBaseline(t *testing.T) {
	peers, _ := connect(t, disk.Debian("a"), disk.Debian("b").With(disk.Files{"/etc/web.conf": "listen 81\n", "/usr/bin/web": "program 2"}))
	s, err := facts.TakeSnapshot(t.Context(), peers[0])
	must(t, err)
	var b bytes.Buffer
	must(t, s.Write(&b))
	again, err := facts.ReadSnapshot(bytes.NewReader(b.Bytes()))
	must(t, err)
	was, end, err := again.Peer(t.Context(), "before")
	must(t, err)
	defer end()
	c, err := Compare(t.Context(), []*facts.Peer{was, peers[1]}, was)
	must(t, err)
	d := find(c, File, "/etc/web.conf")
	if d == nil || !slices.Equal(d.Odd, []string{"web-2"}) || d.Package != "web" || d.Hidden == "" || d.Text != "" {
		t.Errorf("got %+v", d)
	}
	if c, err = Compare(t.Context(), []*facts.Peer{was, peers[0]}, was); err != nil || len(c.Differences) > 0 {
		t.Errorf("a server differs from its snapshot: %+v, %v", c.Differences, err)
	}
}
