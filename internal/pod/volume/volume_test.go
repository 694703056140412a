package volume

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tempDir returns a directory. Mounts below it are removed at the end of the test.
func tempDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests need root")
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		if err := UnmountBelow(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// list describes every entry below dir: mode, owner, group, target of a link. It
// replaces the names of versions by a fixed one.
func list(t *testing.T, dir string) []string {
	t.Helper()
	version := regexp.MustCompile(`\.\.\d{4}_[0-9_.]+`)
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		name, _ := filepath.Rel(dir, path)
		line := fmt.Sprintf("%s %o %d:%d", name, st.Mode, st.Uid, st.Gid)
		if target, err := os.Readlink(path); err == nil {
			line += " -> " + target
		}
		out = append(out, version.ReplaceAllString(line, "VERSION"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEmptyDir(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077)) // must not matter
	for _, tt := range []struct {
		name string
		e    EmptyDir
		want string
	}{
		{"disk", EmptyDir{}, ". 40777 0:0"},
		{"disk with a group", EmptyDir{FSGroup: new(int64(1234))}, ". 42777 0:1234"},
		{"own mode", EmptyDir{Mode: new(int32(0o1750))}, ". 41750 0:0"},
		{"own mode and group", EmptyDir{Mode: new(int32(0o700)), FSGroup: new(int64(7))}, ". 42770 0:7"},
		{"memory", EmptyDir{Memory: true, Size: 1 << 20}, ". 41777 0:0"},
		{"memory with a group", EmptyDir{Memory: true, FSGroup: new(int64(7))}, ". 43777 0:7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(tempDir(t), "kubernetes.io~empty-dir", "v")
			if err := tt.e.Make(dir); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(list(t, dir), []string{tt.want}); diff != "" {
				t.Error(diff)
			}
			if points, err := Below(dir); err != nil || (len(points) == 1) != tt.e.Memory {
				t.Errorf("mounts: %v, %v", points, err)
			}
		})
	}
}

func TestEmptyDirMemoryHoldsNoMore(t *testing.T) {
	dir := filepath.Join(tempDir(t), "v")
	if err := (EmptyDir{Memory: true, Size: 64 << 10}).Make(dir); err != nil {
		t.Fatal(err)
	}
	err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20), 0o644)
	if err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want no space", err)
	}
}

func TestWritePayload(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := filepath.Join(tempDir(t), "v")
	group := new(int64(5))
	if err := (EmptyDir{FSGroup: group}).Make(dir); err != nil {
		t.Fatal(err)
	}
	files := map[string]File{
		"key":        {Data: []byte("a"), Mode: 0o600},
		"dir/b":      {Data: []byte("b"), Mode: 0o644},
		"dir/deep/c": {Data: []byte("c"), Mode: 0o400, User: new(int64(9))},
	}
	if err := WritePayload(dir, files, group, []string{"nested/mount"}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		". 42777 0:5",
		"VERSION 42755 0:5",
		"VERSION/dir 42755 0:5",
		"VERSION/dir/b 100644 0:5",
		"VERSION/dir/deep 42755 0:5",
		"VERSION/dir/deep/c 100440 9:5",
		"VERSION/key 100640 0:5",
		"..data 120777 0:5 -> VERSION",
		"dir 120777 0:5 -> ..data/dir",
		"key 120777 0:5 -> ..data/key",
		"nested 42755 0:5",
		"nested/mount 42755 0:5",
	}
	got := list(t, dir)
	for i := range got {
		if strings.HasPrefix(got[i], "dir 120777") { // linked for either of its files
			got[i] = strings.Replace(got[i], " 9:5 ", " 0:5 ", 1)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "dir/deep/c")); string(data) != "c" {
		t.Errorf("read through the links: %q, %v", data, err)
	}
}

func TestWritePayloadRefuses(t *testing.T) {
	for _, path := range []string{
		"", ".", "/etc/passwd", "../x", "a/../../x", "..data", "..x", strings.Repeat("x", 300), strings.Repeat("x/", 3000), "a\x00b",
	} {
		dir := tempDir(t)
		if err := WritePayload(dir, map[string]File{path: {}}, nil, nil); err == nil {
			t.Errorf("path %.20q was accepted", path)
		}
		if got := list(t, dir); len(got) != 1 {
			t.Errorf("path %.20q left %v", path, got)
		}
	}
}

func FuzzPayloadPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "../x", "..", "a/./b", "//", "a/", "..data"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "v")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		err := WritePayload(dir, map[string]File{path: {Data: []byte("x"), Mode: 0o644}}, nil, nil)
		if entries, _ := os.ReadDir(outer); len(entries) != 1 {
			t.Fatalf("path %q left the volume", path)
		}
		if err != nil {
			return
		}
		if data, err := os.ReadFile(filepath.Join(dir, path)); string(data) != "x" {
			t.Errorf("path %q: read %q, %v", path, data, err)
		}
	})
}

func TestHostPath(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := tempDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "socket")}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, kind, want string }{
		{"/none/at/all", "", ""},
		{file, "", ""},
		{dir, "Directory", ""},
		{file, "File", ""},
		{dir + "/socket", "Socket", ""},
		{"/dev/null", "CharDevice", ""},
		{dir + "/new/dir", "DirectoryOrCreate", ""},
		{dir + "/new/file", "FileOrCreate", ""},
		{dir + "/no/parent", "FileOrCreate", "no such file"},
		{dir + "/none", "Directory", "does not exist"},
		{dir + "/none", "Socket", "does not exist"},
		{file, "Directory", "is not a directory"},
		{file, "DirectoryOrCreate", "is not a directory"},
		{dir, "File", "is not a file"},
		{dir, "FileOrCreate", "is not a file"},
		{file, "Socket", "is not a socket"},
		{file, "CharDevice", "is not a character device"},
		{"/dev/null", "BlockDevice", "is not a block device"},
		{file, "Strange", "not a known type"},
		{"relative", "", "must be absolute"},
		{dir + "/../x", "", "must be absolute"},
	} {
		err := HostPath(tt.path, tt.kind)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %v, want %q", tt.kind, tt.path, err, tt.want)
		}
	}
	want := []string{". 40700 0:0", "dir 40755 0:0", "file 100644 0:0"}
	if diff := cmp.Diff(list(t, dir+"/new"), want); diff != "" {
		t.Error(diff)
	}
}

func TestUsage(t *testing.T) {
	dir := tempDir(t)
	data := make([]byte, 256<<10)
	if err := os.WriteFile(dir+"/a", data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(dir+"/a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	if err := (EmptyDir{Memory: true}).Make(dir + "/other"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/other/c", data, 0o644); err != nil {
		t.Fatal(err)
	}
	used, err := Usage(dir)
	if err != nil || used < 256<<10 || used > 300<<10 {
		t.Errorf("got %d, %v; want the one file of 256 KiB", used, err)
	}
}
