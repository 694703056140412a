package tree

import (
	"os"
	"testing"

	"github.com/adamant-sh/adamant/test/descriptor"
)

// Files that tests leave open fail them.
func TestMain(m *testing.M) { os.Exit(descriptor.Run(m)) }

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes devices, owners and mounts: run it as root")
	}
}

// root opens a directory as a root for the time of a test.
func root(t testing.TB, dir string) *Root {
	t.Helper()
	r, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func entries(t Tree) []Entry {
	var all []Entry
	for e := range t.All() {
		all = append(all, e)
	}
	return all
}
