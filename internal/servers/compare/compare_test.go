package compare

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

// A wire counts the bytes that go over it.
type wire struct {
	io.Reader
	io.Writer
	bytes *atomic.Int64
}

func (w wire) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.bytes.Add(int64(n))
	return n, err
}

func (w wire) Write(p []byte) (int, error) {
	w.bytes.Add(int64(len(p)))
	return w.Writer.Write(p)
}

// connect runs agents, and returns their peers and the number of bytes over the wires
// after the greetings.
func connect(t *testing.T, disks ...disk.Files) ([]*facts.Peer, *atomic.Int64) {
	t.Helper()
	bytes := new(atomic.Int64)
	var peers []*facts.Peer
	for i, d := range disks {
		root := d.Root(t)
		toAgent, fromPeer := io.Pipe()
		toPeer, fromAgent := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := facts.Serve(context.Background(), root, facts.ServeOptions{}, toAgent, fromAgent)
			fromAgent.CloseWithError(err)
			ended <- err
		}()
		w := wire{toPeer, fromPeer, bytes}
		p, err := facts.Greet(fmt.Sprintf("web-%d", i+1), w, w)
		must(t, err)
		peers = append(peers, p)
		t.Cleanup(func() {
			fromPeer.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	bytes.Store(0)
	return peers, bytes
}

func compare(t *testing.T, disks ...disk.Files) Comparison {
	t.Helper()
	peers, _ := connect(t, disks...)
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	return c
}

func find(c Comparison, section facts.Section, key string) *Difference {
	for i := range c.Differences {
		if d := &c.Differences[i]; d.Section == section && d.Key == key {
			return d
		}
	}
	return nil
}

// Files that differ by design do not count, and equal directories are not requested.
func TestEqualServers(t *testing.T) {
	peers, bytes := connect(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("c"))
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	if !c.Clean() {
		t.Errorf("got %+v", c)
	}
	if c.Expected[facts.Log] != 1 || c.Expected[facts.Identity] != 1 || c.Expected[facts.Name] != 1 {
		t.Errorf("expected to differ: %v", c.Expected)
	}
	if n := bytes.Load(); n != 0 {
		t.Errorf("%d bytes were asked for", n)
	}
}

func TestOddOneOut(t *testing.T) {
	c := compare(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("c").With(disk.Files{
		"/etc/web.conf":     "listen 81\npassword=other5other5\n",
		"/usr/bin/git":      "-",
		"/etc/cron.d/miner": "* * * * * root /tmp/miner\n",
		"/etc/passwd":       "root:x:0:0:root:/root:/bin/bash\neve:x:0:0::/:/bin/sh\n",
	}))
	for _, want := range []struct {
		section facts.Section
		key     string
		usual   bool // most servers have it
		pkg     string
	}{
		{File, "/etc/web.conf", true, "web"},
		{File, "/usr/bin/git", true, "git"},
		{File, "/etc/cron.d/miner", false, ""},
		{File, "/etc/passwd", true, ""},
		{facts.User, "eve", false, ""},
		{facts.Cron, "/etc/cron.d/miner: * * * * * root /tmp/miner", false, ""},
	} {
		d := find(c, want.section, want.key)
		if d == nil {
			t.Errorf("%s %s is not found", want.section, want.key)
			continue
		}
		if !slices.Equal(d.Odd, []string{"web-3"}) || d.Split || (d.Usual != "") != want.usual || d.Package != want.pkg {
			t.Errorf("%s %s: got %+v", want.section, want.key, d)
		}
	}
	text := find(c, File, "/etc/web.conf").Text
	if !strings.Contains(text, "+listen 81") || strings.Contains(text, "hunter2") || strings.Contains(text, "other5") {
		t.Errorf("got the text diff\n%s", text)
	}
}

// Two servers have no majority, nor have two against two.
func TestSplit(t *testing.T) {
	changed := disk.Files{"/etc/web.conf": "listen 81\n"}
	for name, disks := range map[string][]disk.Files{
		"two":             {disk.Debian("a"), disk.Debian("b").With(changed)},
		"two against two": {disk.Debian("a"), disk.Debian("b"), disk.Debian("c").With(changed), disk.Debian("d").With(changed)},
	} {
		t.Run(name, func(t *testing.T) {
			d := find(compare(t, disks...), File, "/etc/web.conf")
			if d == nil || !d.Split || len(d.Odd) > 0 || d.Usual != "" {
				t.Errorf("got %+v, want it to be split", d)
			}
		})
	}
}

// Everything that the update of a package changed is one cause.
func TestUpdateIsOneCause(t *testing.T) {
	newer := disk.Debian("c")
	for p := range newer {
		newer[p] = strings.ReplaceAll(newer[p], "Version: 1.0", "Version: 1.1")
	}
	c := compare(t, disk.Debian("a"), disk.Debian("b"), newer.With(disk.Files{"/usr/bin/web": "program 2", "/etc/web.conf": "listen 8080\n"}))
	var titles []string
	for _, cause := range c.Causes {
		titles = append(titles, fmt.Sprintf("%s: %v", cause.Title, cause.Files))
	}
	want := []string{
		"package web: 1.0 on most; 1.1 on web-3: [/etc/web.conf /usr/bin/web]",
		"1 file made from others, on web-3: [/var/lib/dpkg/status]",
	}
	if diff := cmp.Diff(titles, want); diff != "" {
		t.Error(diff)
	}
}

// A server that was cloned has the other's identity.
func TestSharedIdentity(t *testing.T) {
	c := compare(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("a"))
	if len(c.Alarms) != 1 || c.Alarms[0].Path != "/etc/machine-id" || !slices.Equal(c.Alarms[0].Servers, []string{"web-1", "web-3"}) || c.Clean() {
		t.Errorf("got %+v", c.Alarms)
	}
}

// A directory that one server lacks is listed file by file.
func TestMissingDirectory(t *testing.T) {
	c := compare(t, disk.Debian("a").With(disk.Files{"/opt/a/b": "x"}), disk.Debian("b").With(disk.Files{"/opt/a/b": "x"}), disk.Debian("c"))
	for _, p := range []string{"/opt", "/opt/a", "/opt/a/b"} {
		if d := find(c, File, p); d == nil || !slices.Equal(d.Odd, []string{"web-3"}) {
			t.Errorf("%s: got %+v", p, d)
		}
	}
}

// The number of bytes grows with the differences.
func TestWireGrowsWithDrift(t *testing.T) {
	many := func(id string) disk.Files {
		d := disk.Debian(id)
		for i := range 2000 {
			d[fmt.Sprintf("/srv/%d/%d", i%50, i)] = fmt.Sprint(i)
		}
		return d
	}
	peers, bytes := connect(t, many("a"), many("b"), many("c").With(disk.Files{"/srv/7/7": "edited"}))
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	if len(c.Differences) != 1 || c.Differences[0].Key != "/srv/7/7" {
		t.Errorf("got %+v", c.Differences)
	}
	// Listed are /, /srv with its 50 directories, and the 40 files of one.
	if n := bytes.Load(); n > 100<<10 {
		t.Errorf("%d bytes for one file of 2000", n)
	}
}

// A baseline is right even against a majority. Facts of a running machine are not
// compared with an image.
func TestBaseline(t *testing.T) {
	edited := disk.Files{"/etc/web.conf": "listen 81\n"}
	peers, _ := connect(t, disk.Debian("a").With(edited), disk.Debian("b").With(edited), disk.Debian("c"))
	peers[0].Live, peers[1].Live = true, true
	peers[0].Facts = append(peers[0].Facts, fact(facts.Sysctl, "vm.swappiness", "1"))
	c, err := Compare(t.Context(), peers, peers[2])
	must(t, err)
	d := find(c, File, "/etc/web.conf")
	if d == nil || !slices.Equal(d.Odd, []string{"web-1", "web-2"}) || d.Split {
		t.Errorf("got %+v", d)
	}
	if d := find(c, facts.Sysctl, "vm.swappiness"); d != nil {
		t.Errorf("got %+v", d)
	}
	if c.Baseline != "web-3" {
		t.Errorf("got %q", c.Baseline)
	}
}

// A section that is unknown of one server is not compared at all, and the comparison
// is not complete.
func TestUnknownSection(t *testing.T) {
	peers, _ := connect(t, disk.Debian("a"), disk.Debian("b"), disk.Debian("c"))
	for _, p := range peers {
		p.Live = true
		p.Facts = append(p.Facts, fact(facts.Running, "web.service", "active (running)"))
	}
	peers[2].Facts = nil
	peers[2].Summary.Unknowns = []facts.Unknown{{Path: "/run/systemd/system", Reason: "no answer", Section: facts.Running}}
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	if d := find(c, facts.Running, "web.service"); d != nil || c.Complete() || c.Clean() {
		t.Errorf("got %+v, complete: %v", d, c.Complete())
	}
	if find(c, facts.User, "root") == nil {
		t.Error("other sections are not compared")
	}
	before := []facts.Fact{fact(facts.Running, "web.service", "failed"), fact(facts.User, "eve", "uid 1")}
	want := []FactChange{{facts.User, "eve", "uid 1", ""}}
	if diff := cmp.Diff(FactChanges(before, nil, peers[2].Summary.Unknowns...), want); diff != "" {
		t.Error(diff)
	}
}
