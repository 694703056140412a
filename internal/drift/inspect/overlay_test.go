package inspect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
)

// TestOverlay changes a mounted overlay; package overlay tests what it finds there.
func TestOverlay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("mounting an overlay needs root")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"lower/etc", "lower/old", "upper", "work", "merged"} {
		must(os.MkdirAll(path(name), 0o755))
	}
	must(os.WriteFile(path("lower/etc/app.conf"), []byte("one\n"), 0o644))
	must(os.WriteFile(path("lower/etc/same"), []byte("same\n"), 0o644))
	must(unix.Mount("overlay", path("merged"), "overlay", 0, "lowerdir="+path("lower")+",upperdir="+path("upper")+",workdir="+path("work")))
	t.Cleanup(func() { must(unix.Unmount(path("merged"), 0)) })
	must(os.WriteFile(path("merged/etc/app.conf"), []byte("two\n"), 0o644))
	must(os.WriteFile(path("merged/etc/same"), []byte("same\n"), 0o644))
	must(os.Remove(path("merged/old")))

	r, err := Overlay(t.Context(), overlay.Mount{Upper: path("upper"), Work: path("work"), Lower: []string{path("lower")}})
	must(err)
	var got []string
	for _, ch := range r.Changes {
		got = append(got, string(ch.Kind)+" "+ch.Path)
	}
	if diff := cmp.Diff(got, []string{"changed /etc/app.conf", "deleted /old"}); diff != "" || len(r.Unknowns) > 0 {
		t.Errorf("changes (-got +want):\n%s\nunknowns %v", diff, r.Unknowns)
	}
	if len(r.Changes) > 0 && (r.Changes[0].Class != drift.Config || r.Changes[0].Diff == "") {
		t.Errorf("got %+v, want a configuration with a diff", r.Changes[0])
	}
}
