package rootfs

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// What cannot be copied is left out, and the rest is copied.
func TestCopy(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	populate(t, src)
	must(t, os.WriteFile(src+"/large", make([]byte, 200), 0o600))
	unknown, err := Copy(t.Context(), root(t, src), root(t, dst), "/", "/new", ExtractOptions{Owner: &Owner{5, 6}, MaxBytes: 100})
	must(t, err)
	want := map[string]error{"/b": ErrDevice, "/c": ErrDevice, "/s": ErrSocket, "/large": tree.ErrTooLarge}
	for _, u := range unknown {
		if !errors.Is(u.Err, want[u.Path]) {
			t.Errorf("%s: %v, want %v", u.Path, u.Err, want[u.Path])
		}
		delete(want, u.Path)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
	got, _ := walk(t, root(t, dst), WalkOptions{Path: "/new"})
	var paths []string
	for e := range got.All() {
		paths = append(paths, e.Path)
	}
	if diff := cmp.Diff(paths, []string{"/new", "/new/d", "/new/d/again", "/new/d/file", "/new/l", "/new/p"}); diff != "" {
		t.Errorf("copied (- got, + want):\n%s", diff)
	}
}

// A file of /proc has the size 0. Its copy is empty, but not silently.
func TestCopyOfProc(t *testing.T) {
	unknown, err := Copy(t.Context(), root(t, "/proc/self"), root(t, t.TempDir()), "/status", "/", ExtractOptions{})
	must(t, err)
	if len(unknown) != 1 || !errors.Is(unknown[0].Err, errHasMore) {
		t.Errorf("got %v", unknown)
	}
}
