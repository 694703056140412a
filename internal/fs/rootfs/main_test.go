package rootfs

import (
	"os"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
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
	r, err := Open(dir)
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

func entries(t tree.Tree) []tree.Entry {
	var all []tree.Entry
	for e := range t.All() {
		all = append(all, e)
	}
	return all
}

func file(path string) tree.Entry { return tree.Entry{Path: path, Kind: tree.Regular, Mode: 0o644} }

func paths(seq func(func(tree.Entry) bool)) []string {
	var all []string
	for e := range seq {
		all = append(all, e.Path)
	}
	return all
}
