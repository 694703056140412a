package change

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// onRoot returns a runner of a job on a root with files. Names of directories end in
// a slash.
func onRoot(t *testing.T, j Job, files ...string) (c *runner, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range files {
		name := filepath.Join(dir, f)
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		if strings.HasSuffix(f, "/") {
			must(t, os.MkdirAll(name, 0o755))
		} else {
			must(t, os.WriteFile(name, []byte("old\n"), 0o644))
		}
	}
	j.ID = "c1"
	store := NewStore(t.TempDir())
	must(t, os.Mkdir(store.path(j.ID, ""), 0o700))
	root, err := rootfs.Open(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return &runner{store: store, job: j, state: State{ID: j.ID}, root: root}, dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inArchive returns the paths of the saved files.
func inArchive(t *testing.T, c *runner) (names []string) {
	t.Helper()
	f, err := os.Open(c.store.path(c.job.ID, "saved.tar"))
	must(t, err)
	defer f.Close()
	for in := tar.NewReader(f); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		names = append(names, path.Clean("/"+h.Name))
	}
}

func TestWhatIsPromisedIsSaved(t *testing.T) {
	j := Job{Save: []string{"/srv/link"}, Copies: []Copy{{Path: "/lib/unit"}, {Path: "/lib/new"}}}
	c, dir := onRoot(t, j, "usr/lib/unit", "var/spool/cron/crontabs/root", "data/www/x")
	must(t, os.Symlink("usr/lib", filepath.Join(dir, "lib")))
	must(t, os.Mkdir(filepath.Join(dir, "srv"), 0o755))
	must(t, os.Symlink("../data/www", filepath.Join(dir, "srv/link")))
	_, err := c.save(t.Context())
	must(t, err)
	got := inArchive(t, c)
	for _, want := range []string{"/usr/lib/unit", "/var/spool/cron/crontabs/root", "/srv/link", "/data/www/x"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among what was saved: %q", want, got)
		}
	}
	if !isBelow("/usr/lib/new", c.saved) {
		t.Errorf("a new file is not taken back: %q", c.saved)
	}
}

func TestWhatCannotBeSavedIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		job  Job
		want string
	}{
		{"state", Job{Copies: []Copy{{Path: "/var/lib/sudo/x"}}}, "/var/lib/sudo/x counts as state"},
		{"everything", Job{Save: []string{"/"}}, "save /: the root directory is everything"},
		{"mounted", Job{Save: []string{"/srv"}}, "/srv lies on another file system"},
		{"in what is mounted", Job{Copies: []Copy{{Path: "/srv/new"}}}, "/srv lies on another file system"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, dir := onRoot(t, tt.job, "var/lib/sudo/x", "srv/", "opt/")
			mount(t, filepath.Join(dir, "srv"))
			if _, err := c.save(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMountedOptIsUnknown(t *testing.T) {
	c, dir := onRoot(t, Job{}, "opt/")
	mount(t, filepath.Join(dir, "opt"))
	_, err := c.save(t.Context())
	must(t, err)
	if len(c.state.Unknowns) != 1 || c.state.Unknowns[0].Path != "/opt" {
		t.Errorf("got %v", c.state.Unknowns)
	}
	if isBelow("/opt/x", c.saved) {
		t.Error("what is below it would be taken for new")
	}
}

func mount(t *testing.T, dir string) {
	t.Helper()
	must(t, unix.Mount("none", dir, "tmpfs", 0, "")) // as root, as all of these tests
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}
