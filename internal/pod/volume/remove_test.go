package volume

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFlatten nests directories, so that os.RemoveAll would need more files than it may open.
func TestFlatten(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b/c", "a/d", ".deep-0/x", ".deep-2"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"a", "a/b/c", ".deep-0/x"} {
		makeDeep(t, filepath.Join(dir, d), 700)
	}
	if err := Flatten(dir); err != nil {
		t.Fatalf("%.200v", err)
	}
	openFew(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("%.200v", err)
	}
}

// openFew lets a test have 300 files open.
func openFew(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 300, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) })
}

// TestRemoveAllDeep nests more directories than a process may have files open. A
// pod that did this could otherwise not be removed, and Open would fail.
func TestRemoveAllDeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pod")
	for _, d := range []string{"a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
		makeDeep(t, filepath.Join(dir, d), 700)
	}
	openFew(t)
	if err := RemoveAll(dir); err != nil {
		t.Errorf("%.200v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
