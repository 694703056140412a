package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
)

// A change must be confirmed in time over a slow link, so the lists of what it changed
// are sent with its last state only.
func TestListsOfChangesAreSentLast(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	held, err := durable.TryLock(filepath.Join(dir, "a/lock")) // somebody carries it out
	must(t, err)
	defer held.Close()
	st := change.State{ID: "a", Count: 1, Files: []compare.FileChange{{Path: "/etc/x"}}, Facts: []compare.FactChange{{Key: "x"}}, Output: "x"}
	for stage, want := range map[change.Stage]int{change.Unconfirmed: 0, change.Reverting: 0, change.Confirmed: 1, change.Reverted: 1} {
		st.Stage = stage
		text, err := json.Marshal(st)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "a/state"), text, 0o600))
		var out bytes.Buffer
		c := changer{nil, &out, change.NewStore(dir), ""}
		must(t, c.follow(t.Context(), "a", func(change.State) bool { return true }))
		var told change.State
		must(t, json.Unmarshal(out.Bytes(), &told))
		if len(told.Files) != want || len(told.Facts) != want || len(told.Output) != want || told.Count != 1 {
			t.Errorf("%s: told %+v", stage, told)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
