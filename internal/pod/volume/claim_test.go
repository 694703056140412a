package volume

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// SetGroup changes everything in a volume, and nothing that a container's links lead to.
func TestSetGroup(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "shadow")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(outside, nil, 0o600))
	check(os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	check(os.WriteFile(filepath.Join(dir, "a/b/file"), nil, 0o600))
	check(os.Symlink(outside, filepath.Join(dir, "a/link")))
	check(os.Symlink(filepath.Dir(outside), filepath.Join(dir, "directory")))
	check(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	makeDeep(t, filepath.Join(dir, "a"), 700)
	openFew(t)
	check(SetGroup(dir, 4711, false))
	for path, want := range map[string]os.FileMode{
		".": os.ModeDir | os.ModeSetgid | 0o775, "a": os.ModeDir | os.ModeSetgid | 0o770,
		"a/b/file": 0o660, "fifo": os.ModeNamedPipe | 0o660,
	} {
		info, err := os.Lstat(filepath.Join(dir, path))
		check(err)
		if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 4711 || info.Mode() != want {
			t.Errorf("%s: group %d, mode %v, want %v", path, gid, info.Mode(), want)
		}
	}
	for _, path := range []string{outside, filepath.Dir(outside)} {
		info, err := os.Lstat(path)
		check(err)
		if gid := info.Sys().(*syscall.Stat_t).Gid; gid == 4711 {
			t.Errorf("%s, which a link leads to, has the group %d and mode %v", path, gid, info.Mode())
		}
	}

	// OnRootMismatch spares the rest of a volume that has the group.
	file := filepath.Join(dir, "a/b/file")
	check(os.Chmod(file, 0o600))
	check(SetGroup(dir, 4711, true))
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	check(SetGroup(dir, 4712, true))
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	check(os.Symlink(dir, dir+"-link"))
	if err := SetGroup(dir+"-link", 1, false); err == nil {
		t.Error("a volume that is a symbolic link is followed")
	}
}
