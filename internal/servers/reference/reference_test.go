package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/agent"
	"github.com/adamant-sh/adamant/test/appimage"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// installed returns a Debian with nginx as an archive, and unpacked by GNU tar.
func installed(t *testing.T) (archive, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test unpacks an image with its owners: it needs root")
	}
	archive, err := appimage.Build(t.Context(), "nginx-debian")
	must(t, err)
	set, err := image.Open(t.Context(), archive, image.OpenOptions{})
	must(t, err)
	defer set.Close()
	layers, err := set.Images[0].Layers()
	must(t, err)
	dir = filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(dir, 0o755))
	for _, l := range layers {
		untar(t, l, dir)
	}
	return archive, dir
}

func untar(t *testing.T, l v1.Layer, dir string) {
	t.Helper()
	content, err := l.Uncompressed()
	must(t, err)
	defer content.Close()
	tar := exec.Command("tar", "-C", dir, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-")
	tar.Stdin = content
	out, err := tar.CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
}

func TestImage(t *testing.T) {
	archive, dir := installed(t)
	b, err := Open(t.Context(), archive)
	must(t, err)
	defer b.Close()
	t.Run("is what its files are", func(t *testing.T) { checkSame(t, b.Peer, dir) })
	t.Run("is what a server left", func(t *testing.T) { checkLeft(t, b.Peer, dir) })
}

// checkSame checks that an image compares equal to an agent's scan of the same
// files.
func checkSame(t *testing.T, image *facts.Peer, dir string) {
	peer := agent.On(t, dir)
	if diff := cmp.Diff(peer.Facts, image.Facts); diff != "" {
		t.Errorf("facts of the image differ (-server +image):\n%s", diff)
	}
	if diff := cmp.Diff(peer.Summary, image.Summary); diff != "" {
		t.Errorf("summaries differ (-server +image):\n%s", diff)
	}
	c, err := compare.Compare(t.Context(), []*facts.Peer{image, peer}, image)
	must(t, err)
	if !c.Clean() {
		t.Errorf("they differ: %+v", c)
	}
}

// checkLeft checks that a change on a server is reported with its package and a
// text diff.
func checkLeft(t *testing.T, image *facts.Peer, dir string) {
	conf := filepath.Join(dir, "etc/nginx/nginx.conf")
	text, err := os.ReadFile(conf)
	must(t, err)
	must(t, os.WriteFile(conf, append([]byte("# tuned\n"), text...), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "usr/local/bin/tool"), []byte("x"), 0o755))
	must(t, os.Remove(filepath.Join(dir, "usr/bin/tac")))
	c, err := compare.Compare(t.Context(), []*facts.Peer{image, agent.On(t, dir)}, image)
	must(t, err)
	found := map[string]compare.Difference{}
	for _, d := range c.Differences {
		found[d.Key] = d
	}
	if d := found["/etc/nginx/nginx.conf"]; !d.Edited || d.Package == "" || !strings.Contains(d.Text, "+# tuned") {
		t.Errorf("of an edited file it says %+v", d)
	}
	if d := found["/usr/local/bin/tool"]; d.Package != "" || d.Edited {
		t.Errorf("of a new file it says %+v", d)
	}
	if d := found["/usr/bin/tac"]; d.Package != "coreutils" {
		t.Errorf("of a removed file it says %+v", d)
	}
	if len(found) != 3 || slices.ContainsFunc(c.Differences, func(d compare.Difference) bool { return !slices.Equal(d.Odd, []string{"agent"}) }) {
		t.Errorf("it found %+v", c.Differences)
	}
}

func TestOpenNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.ini")
	must(t, os.WriteFile(file, []byte("[web]\na\n"), 0o600))
	for _, name := range []string{file, filepath.Dir(file), "web-7"} {
		_, err := Open(t.Context(), name)
		if err == nil || !strings.Contains(err.Error(), ErrNotFound.Error()) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
