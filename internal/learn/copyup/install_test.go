package copyup

import (
	"context"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/adamant"
	writeFile(t, dir+"/"+staging, "of a run that was killed", 0o600)
	for range 2 {
		must(t, Install(context.Background(), name))
	}
	self, err := os.Executable()
	must(t, err)
	want, err := os.ReadFile(self)
	must(t, err)
	got, err := os.ReadFile(name)
	must(t, err)
	if string(got) != string(want) {
		t.Errorf("%d bytes that differ from the %d of this program", len(got), len(want))
	}
	if mode := modeOf(t, name); mode != "0755 0:0" {
		t.Errorf("it is %s", mode)
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff(names, []string{"adamant"}); diff != "" {
		t.Errorf("in the directory (-got +want):\n%s", diff)
	}
}
