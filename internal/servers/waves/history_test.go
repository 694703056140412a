package waves

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, b *History, id string) {
	t.Helper()
	e, err := b.Begin(&Record{ID: id, Action: Update, Results: []Result{{Server: "a", Outcome: Changed}}}, change.Job{ID: id, Run: "true"})
	must(t, err)
	must(t, e.Save())
	must(t, e.End())
}

func TestTamperingIsNoticed(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenHistory(dir)
	must(t, err)
	for _, id := range []string{"one", "two", "three"} {
		write(t, b, id)
	}
	list, broken, err := b.Records()
	must(t, err)
	if len(list) != 3 || len(broken) != 0 || list[2].Number != 3 {
		t.Fatalf("got %d records, broken: %v", len(list), broken)
	}
	first := filepath.Join(dir, "000001.json")
	text, err := os.ReadFile(first)
	must(t, err)
	must(t, os.WriteFile(first, []byte(strings.Replace(string(text), `"a"`, `"b"`, 1)), 0o600))
	if _, broken, err = b.Records(); err != nil || len(broken) != 1 || broken[0].File != "000002.json" {
		t.Errorf("edited: got %v, %v", broken, err)
	}
	must(t, os.WriteFile(first, text, 0o600))
	must(t, os.Remove(filepath.Join(dir, "000002.json")))
	if _, broken, err = b.Records(); err != nil || len(broken) != 1 || broken[0].File != "000003.json" {
		t.Errorf("taken out: got %v, %v", broken, err)
	}
	must(t, os.WriteFile(first, []byte("{"), 0o600))
	if _, broken, err = b.Records(); err != nil || len(broken) == 0 {
		t.Errorf("truncated: got %v, %v", broken, err)
	}
}

// The record of a run whose process was killed is ended once.
func TestKilledRun(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenHistory(dir)
	must(t, err)
	e, err := b.Begin(&Record{ID: "killed", Results: []Result{{Server: "a", Outcome: Changed}, {Server: "b"}, {Server: "c"}}}, change.Job{ID: "killed", Run: "true"})
	must(t, err)
	must(t, e.Record.recordStart(2, "killed-3", e.Save))
	if again, err := OpenHistory(dir); err != nil {
		t.Fatal(err)
	} else if list, _, _ := again.Records(); len(list) != 0 {
		t.Fatal("a run that goes on has ended")
	}
	if seen, err := ReadHistory(dir); err != nil || len(seen) != 1 || seen[0].ID != "killed" || seen[0].Number != 0 {
		t.Errorf("read: %+v, %v", seen, err)
	}
	e.file.Close() // as the kernel does for a killed process
	for range 2 {
		if b, err = OpenHistory(dir); err != nil {
			t.Fatal(err)
		}
	}
	list, broken, err := b.Records()
	must(t, err)
	if len(list) != 1 || len(broken) != 0 || list[0].Stopped == "" || list[0].Results[1].Outcome != NotBegun || !list[0].Results[1].Failed {
		t.Errorf("got %+v, %v", list, broken)
	}
	if c := list[0].Results[2]; c.Outcome != Unreachable || !c.CanUndo() || list[0].changeOn("c") != "killed-3" {
		t.Errorf("what was begun: got %+v", c)
	}
	if _, job, err := b.Find("killed"); err != nil || job.Run != "true" {
		t.Errorf("its job: %+v, %v", job, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "open-*"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Reading creates no history, and a file in its place is an error.
func TestReadHistoryWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if list, err := ReadHistory(dir); err != nil || len(list) != 0 {
		t.Errorf("no history: %v, %v", list, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was made")
	}
	must(t, os.WriteFile(dir, nil, 0o600))
	if _, err := ReadHistory(dir); err == nil {
		t.Error("a file was read as a history")
	}
}
