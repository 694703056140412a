package inspect

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/test/tartest"
)

// Files that cannot be saved are listed, and the others are saved.
func TestSaveChangesMissing(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.WriteFile(dir+"/small", []byte("small"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(dir+"/huge", nil, 0o600), os.Truncate(dir+"/huge", maxEvidence+1), os.Symlink("/", dir+"/out")); err != nil {
		t.Fatal(err)
	}
	var r drift.Report
	for _, path := range []string{"/gone", "/huge", "/out/etc/passwd", "/small"} {
		r.Changes = append(r.Changes, drift.Change{Path: path, Kind: drift.Added})
	}
	var archive bytes.Buffer
	unknown, err := SaveChanges(t.Context(), root, r, &archive)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, u := range unknown {
		paths = append(paths, u.Path)
	}
	if diff := cmp.Diff(paths, []string{"/gone", "/huge", "/out/etc/passwd"}); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(unknown[1].Err, tree.ErrTooLarge) || !errors.Is(unknown[2].Err, rootfs.ErrThroughLink) {
		t.Errorf("got %v", unknown)
	}
	got := tartest.Contents(t, &archive)
	if got["root/small"] != "0600 small" || strings.Count(got["MISSING"], "\n") != 3 {
		t.Errorf("got %q", got)
	}
}

// Files are saved at paths that are too long for one system call, and one whose name or
// attributes are too long for an archive does not prevent the others.
func TestSaveChangesOfLongPaths(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	name := strings.Repeat("d", 250)
	at, err := os.OpenRoot(dir)
	for range 20 {
		if err == nil {
			err = at.Mkdir(name, 0o755)
		}
		if err == nil {
			at, err = at.OpenRoot(name)
		}
	}
	if err == nil {
		err = errors.Join(at.WriteFile("tool", []byte("x"), 0o700), os.WriteFile(dir+"/small", []byte("small"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("/"+name, 20) + "/tool"
	var archive bytes.Buffer
	unknown, err := SaveChanges(t.Context(), root, drift.Report{Changes: []drift.Change{{Path: long, Kind: drift.Added}, {Path: "/small", Kind: drift.Added}}}, &archive)
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, len(unknown))
	}
	got := tartest.Contents(t, &archive)
	if got["root"+long] != "0700 x" || got["root/small"] != "0600 small" {
		t.Errorf("got %d entries", len(got))
	}
}
