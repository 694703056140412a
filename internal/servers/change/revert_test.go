package change

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUndoOfAnInterruptedChangeIsNotClean(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/saved", "usr/share/x")
	_, err := c.save(t.Context())
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "etc/saved"), []byte("new\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "usr/share/x"), []byte("new\n"), 0o644))
	c.state.Stage = Interrupted
	must(t, c.loadChanges(t.Context()))
	if c.incomplete == nil || !strings.Contains(c.incomplete.Error(), "what else it changed is not known") {
		t.Errorf("got %v", c.incomplete)
	}
}

func TestUndoKeepsWhatWasChangedSince(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/edited", "etc/plain", "etc/back")
	write := func(text string, names ...string) {
		for _, name := range names {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	before, err := c.save(t.Context())
	must(t, err)
	write("by the change\n", "etc/edited", "etc/plain", "etc/back", "etc/new", "etc/new.d/x", "etc/new.d/y")
	c.compare(t.Context(), before)
	write("by an admin\n", "etc/edited", "etc/new", "etc/new.d/y", "etc/new.d/z")
	write("old\n", "etc/back")
	must(t, c.findEditedSince(t.Context()))
	c.state.Undo = &Undo{}
	must(t, c.revertFiles(t.Context()))
	must(t, c.findUnrestored(t.Context()))
	for name, want := range map[string]string{
		"etc/edited": "by an admin\n", "etc/new": "by an admin\n", "etc/new.d/y": "by an admin\n", "etc/new.d/z": "by an admin\n",
		"etc/plain": "old\n", "etc/back": "old\n", "etc/new.d/x": "",
	} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	want := []string{"/etc/edited (changed since)", "/etc/new (changed since)", "/etc/new.d", "/etc/new.d/y (changed since)"}
	if diff := cmp.Diff(c.state.Undo.Left, want); diff != "" {
		t.Error(diff)
	}
}
