package change

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// keepsChanging writes to a file so often that no scan can read it, until the
// returned function is called.
func keepsChanging(t *testing.T, name string) (stop func()) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	must(t, f.Truncate(256<<20))
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer f.Close()
		for {
			select {
			case <-done:
				_ = f.Truncate(3)
				return
			default:
				_, _ = f.WriteAt([]byte("new"), 0)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	return func() { close(done); <-ended }
}

func TestFileUnknownBeforeIsNotRemoved(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/other")
	busy := filepath.Join(dir, "etc/busy")
	stop := keepsChanging(t, busy)
	before, err := c.observe(t.Context())
	stop()
	must(t, err)
	c.saved = []string{"/etc"}
	must(t, os.WriteFile(c.store.path("c1", "saved.tar"), make([]byte, 1024), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "etc/added"), nil, 0o600))
	c.compare(t.Context(), before)
	if len(c.files) != 1 || c.files[0].Path != "/etc/added" {
		t.Errorf("changed: %v", c.files)
	}
	c.state.Undo = &Undo{}
	must(t, c.revertFiles(t.Context()))
	if _, err := os.Stat(busy); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/added")); err == nil {
		t.Error("what is new was not removed")
	}
	must(t, c.findUnrestored(t.Context()))
	if !slices.Contains(c.state.Undo.Left, "/etc/busy") {
		t.Errorf("left: %q", c.state.Undo.Left)
	}
}

func TestNothingIsChangedWhileAFileIsUnknown(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/other")
	defer keepsChanging(t, filepath.Join(dir, "etc/busy"))()
	_, err := c.save(t.Context())
	if err == nil || !strings.Contains(err.Error(), "save /etc/busy: ") {
		t.Errorf("got %v", err)
	}
}

func TestChangesBelowUnknownsAreNotKnown(t *testing.T) {
	files := []compare.FileChange{{Path: "/a"}, {Path: "/dir"}, {Path: "/dir/x/y"}, {Path: "/dirs"}}
	got := knownChanges(files, []facts.Unknown{{Path: "/dir"}, {Path: "/a", Section: facts.Cron}})
	if len(got) != 2 || got[0].Path != "/a" || got[1].Path != "/dirs" {
		t.Errorf("got %v", got)
	}
}

func TestSocketsOutliveAnInterruptedChange(t *testing.T) {
	c, dir := onRoot(t, Job{}, "etc/other")
	t.Chdir(dir) // a relative path, because addresses of sockets are short
	l, err := net.Listen("unix", "etc/socket")
	must(t, err)
	defer l.Close()
	_, err = c.save(t.Context())
	must(t, err)
	must(t, os.WriteFile("etc/half", nil, 0o600))
	must(t, c.rescan(t.Context(), nil))
	c.state.Undo = &Undo{}
	must(t, c.revertFiles(t.Context()))
	if _, err := os.Lstat("etc/socket"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat("etc/half"); err == nil {
		t.Error("what is new was not removed")
	}
}
