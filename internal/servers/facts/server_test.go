package facts

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// A disk is what a server has on it, by path; a name that ends in a slash is a
// directory.
type disk map[string]string

// debian is a small server with one package.
func debian(id string) disk {
	return disk{
		"/etc/passwd":     "root:x:0:0:root:/root:/bin/bash\n",
		"/etc/group":      "root:x:0:\n",
		"/etc/machine-id": id + "\n",
		"/etc/hostname":   "host-" + id + "\n",
		"/etc/os-release": "PRETTY_NAME=\"Debian\"\n",
		"/etc/web.conf":   "listen 80\npassword=hunter2hunter2\n",
		"/usr/bin/web":    "program 1",
		"/usr/bin/git":    "git",
		"/var/log/web":    "log of " + id + "\n",
		"/var/lib/dpkg/status": "Package: web\nStatus: install ok installed\nVersion: 1.0\n\n" +
			"Package: git\nStatus: install ok installed\nVersion: 2.0\n",
		"/var/lib/dpkg/info/web.list":    "/usr/bin/web\n/etc/web.conf\n",
		"/var/lib/dpkg/info/web.md5sums": "0cc175b9c0f1b6a831c399e269772661  usr/bin/web\n",
		"/var/lib/dpkg/info/git.list":    "/bin/git\n",
		"/tmp/":                          "",
	}
}

func (d disk) with(change disk) disk {
	for p, content := range change {
		if content == "-" {
			delete(d, p)
		} else {
			d[p] = content
		}
	}
	return d
}

// root writes a disk.
func (d disk) root(t *testing.T) *rootfs.Root {
	t.Helper()
	return openRoot(t, d.write(t))
}

func (d disk) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	for p, content := range d {
		full := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if strings.HasSuffix(p, "/") {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
	return dir
}

// links writes a disk and symbolic links on it, by path.
func (d disk) links(t *testing.T, links disk) *rootfs.Root {
	t.Helper()
	dir := d.write(t)
	for p, target := range links {
		full := filepath.Join(dir, p)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.Symlink(target, full))
	}
	return openRoot(t, dir)
}

func openRoot(t *testing.T, dir string) *rootfs.Root {
	t.Helper()
	r, err := rootfs.Open(dir)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A wire counts what goes over it.
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

// connect runs agents, and returns their peers and how many bytes went over the
// wires after the greetings.
func connect(t *testing.T, disks ...disk) ([]*Peer, *atomic.Int64) {
	t.Helper()
	bytes := new(atomic.Int64)
	var peers []*Peer
	for i, d := range disks {
		root := d.root(t)
		toAgent, fromPeer := io.Pipe()
		toPeer, fromAgent := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := Serve(context.Background(), root, ServeOptions{}, toAgent, fromAgent)
			fromAgent.CloseWithError(err)
			ended <- err
		}()
		w := wire{toPeer, fromPeer, bytes}
		p, err := Greet(fmt.Sprintf("web-%d", i+1), w, w)
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

func compare(t *testing.T, disks ...disk) Comparison {
	t.Helper()
	peers, _ := connect(t, disks...)
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	return c
}

func find(c Comparison, section Section, key string) *Difference {
	for i := range c.Differences {
		if d := &c.Differences[i]; d.Section == section && d.Key == key {
			return d
		}
	}
	return nil
}

// What must differ does not count, and nothing is asked for where all is equal.
func TestEqualServers(t *testing.T) {
	peers, bytes := connect(t, debian("a"), debian("b"), debian("c"))
	c, err := Compare(t.Context(), peers, nil)
	must(t, err)
	if !c.Clean() {
		t.Errorf("got %+v", c)
	}
	if c.Expected[Log] != 1 || c.Expected[Identity] != 1 || c.Expected[Name] != 1 {
		t.Errorf("expected to differ: %v", c.Expected)
	}
	if n := bytes.Load(); n != 0 {
		t.Errorf("%d bytes were asked for", n)
	}
}

func TestOddOneOut(t *testing.T) {
	c := compare(t, debian("a"), debian("b"), debian("c").with(disk{
		"/etc/web.conf":     "listen 81\npassword=other5other5\n",
		"/usr/bin/git":      "-",
		"/etc/cron.d/miner": "* * * * * root /tmp/miner\n",
		"/etc/passwd":       "root:x:0:0:root:/root:/bin/bash\neve:x:0:0::/:/bin/sh\n",
	}))
	for _, want := range []struct {
		section Section
		key     string
		usual   bool // most have it
		pkg     string
	}{
		{File, "/etc/web.conf", true, "web"},
		{File, "/usr/bin/git", true, "git"},
		{File, "/etc/cron.d/miner", false, ""},
		{File, "/etc/passwd", true, ""},
		{User, "eve", false, ""},
		{Cron, "/etc/cron.d/miner: * * * * * root /tmp/miner", false, ""},
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

// Of two servers nobody says who is right, and neither of two against two.
func TestSplit(t *testing.T) {
	changed := disk{"/etc/web.conf": "listen 81\n"}
	for name, disks := range map[string][]disk{
		"two":             {debian("a"), debian("b").with(changed)},
		"two against two": {debian("a"), debian("b"), debian("c").with(changed), debian("d").with(changed)},
	} {
		t.Run(name, func(t *testing.T) {
			d := find(compare(t, disks...), File, "/etc/web.conf")
			if d == nil || !d.Split || len(d.Odd) > 0 || d.Usual != "" {
				t.Errorf("got %+v, want it to be split", d)
			}
		})
	}
}

// All that a package's update changed is one cause.
func TestUpdateIsOneCause(t *testing.T) {
	newer := debian("c")
	for p := range newer {
		newer[p] = strings.ReplaceAll(newer[p], "Version: 1.0", "Version: 1.1")
	}
	c := compare(t, debian("a"), debian("b"), newer.with(disk{"/usr/bin/web": "program 2", "/etc/web.conf": "listen 8080\n"}))
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
	c := compare(t, debian("a"), debian("b"), debian("a"))
	if len(c.Alarms) != 1 || c.Alarms[0].Path != "/etc/machine-id" || !slices.Equal(c.Alarms[0].Servers, []string{"web-1", "web-3"}) || c.Clean() {
		t.Errorf("got %+v", c.Alarms)
	}
}

// A whole directory that one lacks is listed file by file.
func TestMissingDirectory(t *testing.T) {
	c := compare(t, debian("a").with(disk{"/opt/a/b": "x"}), debian("b").with(disk{"/opt/a/b": "x"}), debian("c"))
	for _, p := range []string{"/opt", "/opt/a", "/opt/a/b"} {
		if d := find(c, File, p); d == nil || !slices.Equal(d.Odd, []string{"web-3"}) {
			t.Errorf("%s: got %+v", p, d)
		}
	}
}

// What is asked for grows with what differs.
func TestWireGrowsWithDrift(t *testing.T) {
	many := func(id string) disk {
		d := debian(id)
		for i := range 2000 {
			d[fmt.Sprintf("/srv/%d/%d", i%50, i)] = fmt.Sprint(i)
		}
		return d
	}
	peers, bytes := connect(t, many("a"), many("b"), many("c").with(disk{"/srv/7/7": "edited"}))
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

// A baseline is right even where most say otherwise, and what only a running
// machine has is no difference from one that is none.
func TestBaseline(t *testing.T) {
	edited := disk{"/etc/web.conf": "listen 81\n"}
	peers, _ := connect(t, debian("a").with(edited), debian("b").with(edited), debian("c"))
	peers[0].Live, peers[1].Live = true, true
	peers[0].Facts = append(peers[0].Facts, Fact{Sysctl, "vm.swappiness", "1"})
	c, err := Compare(t.Context(), peers, peers[2])
	must(t, err)
	d := find(c, File, "/etc/web.conf")
	if d == nil || !slices.Equal(d.Odd, []string{"web-1", "web-2"}) || d.Split {
		t.Errorf("got %+v", d)
	}
	if d := find(c, Sysctl, "vm.swappiness"); d != nil {
		t.Errorf("got %+v", d)
	}
	if c.Baseline != "web-3" {
		t.Errorf("got %q", c.Baseline)
	}
}
