package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// subpathDirs returns a volume and a directory for mounts.
func subpathDirs(t *testing.T) (volume, target string) {
	t.Helper()
	dir := tempDir(t)
	volume, target = filepath.Join(dir, "volume"), filepath.Join(dir, "subpaths", "0")
	if err := (EmptyDir{FSGroup: new(int64(5))}).Make(volume); err != nil {
		t.Fatal(err)
	}
	return volume, target
}

func TestBindSubpath(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	volume, target := subpathDirs(t)
	if err := BindSubpath(volume, "a/b", target); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(target, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{". 42777 0:5", "a 42777 0:5", "a/b 42777 0:5", "a/b/f 100600 0:5"}
	if diff := cmp.Diff(list(t, volume), want); diff != "" {
		t.Error(diff)
	}
	// Again, as when the container is restarted; and a file.
	if err := BindSubpath(volume, "a/b", target); err != nil {
		t.Fatal(err)
	}
	if err := BindSubpath(volume, "a/b/f", target+"-file"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(target + "-file"); string(data) != "x" {
		t.Errorf("got %q, %v", data, err)
	}
	if points, err := Below(filepath.Dir(target)); err != nil || len(points) != 2 {
		t.Errorf("mounts: %v, %v; want two", points, err)
	}
}

// The content of a volume may be hostile.
func TestBindSubpathStaysInside(t *testing.T) {
	volume, target := subpathDirs(t)
	outside := filepath.Join(filepath.Dir(volume), "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"absolute": outside, "relative": "../outside", "proc": "/proc/self/root", "inside": "real", "loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(volume, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ sub, want string }{
		{"inside", ""},
		{"inside/new", ""},
		{"absolute", "subPath absolute"},
		{"absolute/new", "subPath absolute/new"},
		{"relative", "subPath relative"},
		{"relative/new", "subPath relative/new"},
		{"proc/etc", "subPath proc/etc"},
		{"loop", "subPath loop"},
		{"../outside", "without \"..\""},
		{"/etc", "must be relative"},
		{"", "must be relative"},
	} {
		err := BindSubpath(volume, tt.sub, target)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.sub, err, tt.want)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(volume, "real/new")); err != nil {
		t.Errorf("through a link that stays inside: %v", err)
	}
}

func TestBelow(t *testing.T) {
	const info = `22 1 8:1 / / rw - ext4 /dev/sda rw
30 22 0:5 / /a/b rw - tmpfs tmpfs rw
31 22 0:5 / /a/bc rw - tmpfs tmpfs rw
32 22 0:5 / /a/b/with\040space\134 rw - tmpfs tmpfs rw
`
	table, err := mounts.Parse(strings.NewReader(info))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(below(table, "/a/b/"), []string{"/a/b", `/a/b/with space\`}); diff != "" {
		t.Error(diff)
	}
}

// The mount table contains resolved paths. A mount that is not found through a
// symbolic link would not be unmounted, and the files behind it would be removed.
func TestBelowThroughALink(t *testing.T) {
	volume, target := subpathDirs(t)
	if err := BindSubpath(volume, "a", target); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(target), link); err != nil {
		t.Fatal(err)
	}
	got, err := Below(link)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, []string{target}); diff != "" {
		t.Error(diff)
	}
	if err := UnmountBelow(link); err != nil {
		t.Fatal(err)
	}
	if got, err := Below(filepath.Dir(target)); err != nil || len(got) > 0 {
		t.Errorf("still mounted: %v, %v", got, err)
	}
	if got, err := Below(filepath.Join(link, "none")); err != nil || len(got) > 0 {
		t.Errorf("of what is not there: %v, %v", got, err)
	}
}

func FuzzBelow(f *testing.F) {
	f.Add("30 22 0:5 / /a/b rw - tmpfs tmpfs rw\n", "/a")
	f.Fuzz(func(t *testing.T, info, dir string) {
		table, _ := mounts.Parse(strings.NewReader(info))
		for _, p := range below(table, dir) {
			if !strings.HasPrefix(p, filepath.Clean(dir)) {
				t.Errorf("%q is not below %q", p, dir)
			}
		}
	})
}
