package pod

import (
	"path/filepath"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// TestOverlayIsItsOwn checks that Overlay does not return the root of a process
// that changed its root directory, or of another process with the same PID.
func TestOverlayIsItsOwn(t *testing.T) {
	e := openTest(t)
	second := testPod(t)
	second.Name += "-2"
	a, b := create(t, e, testPod(t)), create(t, e, second)
	one, other := a.Containers[0], b.Containers[0]
	want, err := a.Overlay(t.Context(), &one)
	if err != nil {
		t.Fatal(err)
	}
	one.PID = other.PID
	got, err := a.Overlay(t.Context(), &one)
	if err != nil {
		t.Fatal(err)
	}
	if got.Upper != want.Upper {
		t.Errorf("got the upper directory %s, want its own %s", got.Upper, want.Upper)
	}
}

func TestIsDir(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := isDir(root, filepath.Join(dir, ".")); err != nil {
		t.Error(err)
	}
	if err := isDir(root, t.TempDir()); err == nil {
		t.Error("another directory passed for the root")
	}
}
