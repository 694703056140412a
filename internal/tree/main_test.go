package tree

import (
	"fmt"
	"os"
	"testing"
)

// Descriptors that tests leave open fail them.
func TestMain(m *testing.M) {
	before := openDescriptors()
	code := m.Run()
	if after := openDescriptors(); code == 0 && after > before {
		fmt.Fprintf(os.Stderr, "%d descriptors were left open\n", after-before)
		code = 1
	}
	os.Exit(code)
}

func openDescriptors() int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, fd := range fds {
		// The runtime's own (epoll, eventfd) come and go.
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && target[0] == '/' {
			n++
		}
	}
	return n
}

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
