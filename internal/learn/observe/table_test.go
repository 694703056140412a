package observe

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func fold(accesses ...trace.Access) *table {
	t := newTable()
	for _, a := range accesses {
		t.add(a, 1)
	}
	return t
}

func TestFold(t *testing.T) {
	many := func(op trace.Op, dir string, n int) (list []trace.Access) {
		for i := range n {
			list = append(list, trace.Access{Op: op, Path: fmt.Sprintf("%s/f%d", dir, i), Bytes: int64(i)})
		}
		return list
	}
	for _, c := range []struct {
		name string
		in   []trace.Access
		want []trace.Access
	}{
		{"equal calls are counted, the largest size is kept",
			[]trace.Access{{Op: trace.Create, Path: "/a", Bytes: 3}, {Op: trace.Create, Path: "/a", Bytes: 1}},
			[]trace.Access{{Op: trace.Create, Path: "/a", Bytes: 3, Count: 2}}},
		{"different results stay apart",
			[]trace.Access{{Op: trace.Create, Path: "/a"}, {Op: trace.Create, Path: "/a", Errno: "EROFS"}, {Op: trace.Create, Path: "/a", UID: 7}},
			[]trace.Access{{Op: trace.Create, Path: "/a", Count: 1}, {Op: trace.Create, Path: "/a", UID: 7, Count: 1}, {Op: trace.Create, Path: "/a", Errno: "EROFS", Count: 1}}},
		{"the root directory itself", []trace.Access{{Op: trace.Chmod, Path: "/"}}, []trace.Access{{Op: trace.Chmod, Path: "/", Count: 1}}},
		{"65 names become one row", many(trace.Create, "/d", 65), []trace.Access{{Op: trace.Create, Path: "/d/*", Count: 65, Bytes: 64}}},
		{"names after that are added to it", many(trace.Unlink, "/d", 1000), []trace.Access{{Op: trace.Unlink, Path: "/d/*", Count: 1000, Bytes: 999}}},
		{"another operation there is not folded",
			append(many(trace.Create, "/d", 65), trace.Access{Op: trace.Chmod, Path: "/d/f1"}),
			[]trace.Access{{Op: trace.Create, Path: "/d/*", Count: 65, Bytes: 64}, {Op: trace.Chmod, Path: "/d/f1", Count: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(fold(c.in...).accesses(), c.want); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := fold(many(trace.Create, "/d", 64)...).accesses(); len(got) != 64 {
		t.Errorf("64 names: got %d rows", len(got))
	}
}

// TestFoldBounded adds directories of random names, like a program that makes a
// temporary directory for each task. The table must stay small, no call may be
// lost, and the parent directory must stay known.
func TestFoldBounded(t *testing.T) {
	const calls = 100_000
	shapes := map[string]func(r *rand.Rand) string{
		"one directory":     func(r *rand.Rand) string { return fmt.Sprintf("/tmp/%d", r.Uint32()) },
		"many directories":  func(r *rand.Rand) string { return fmt.Sprintf("/tmp/%d/f", r.Uint32()) },
		"deep directories":  func(r *rand.Rand) string { return fmt.Sprintf("/tmp/x/%d/%d/%d/f", r.Uint32(), r.Uint32(), r.Uint32()) },
		"one in every path": func(r *rand.Rand) string { return fmt.Sprintf("/tmp/%d/a/b/c/d/e/f/g/h", r.Uint32()) },
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			r, table := rand.New(rand.NewPCG(1, 2)), newTable()
			table.add(trace.Access{Op: trace.Create, Path: "/run/app.pid"}, 1)
			for range calls {
				table.add(trace.Access{Op: trace.Create, Path: shape(r)}, 1)
				if table.size > maxRows {
					t.Fatalf("table has %d rows", table.size)
				}
			}
			total, dirs := 0, map[string]bool{}
			list := table.accesses()
			for _, a := range list {
				total += a.Count
				dirs[strings.Split(a.Path, "/")[1]] = true
			}
			if total != calls+1 || len(list) != table.size {
				t.Errorf("%d calls in %d rows (%d), want %d calls", total, len(list), table.size, calls+1)
			}
			if diff := cmp.Diff(dirs, map[string]bool{"tmp": true, "run": true}); diff != "" {
				t.Errorf("directories: %s", diff)
			}
			if !slices.ContainsFunc(list, func(a trace.Access) bool { return a.Path == "/run/app.pid" }) {
				t.Error("a single file elsewhere was folded")
			}
			if name != "one directory" && !slices.Contains(table.reasons(), tooMany) {
				t.Error("folded without saying so")
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	table := newTable()
	a := trace.Access{Op: trace.Create, Path: "/var/cache/nginx/client_temp/0000000001", Exe: "/usr/sbin/nginx", Count: 1}
	b.ReportAllocs()
	for b.Loop() {
		table.add(a, 1)
	}
}

func TestMerge(t *testing.T) {
	got := Merge([]trace.Trace{
		{Container: "b", Root: "init", Complete: true, Accesses: []trace.Access{{Op: trace.Create, Path: "/x", Count: 2}}},
		{Container: "a", Root: "exec", Complete: true},
		{Container: "b", Root: "exec", Complete: false, Weak: []string{"why"}, Accesses: []trace.Access{{Op: trace.Create, Path: "/x", Count: 3, Bytes: 9}}},
	})
	want := []trace.Trace{
		{Container: "a", Root: "exec", Complete: true, Accesses: []trace.Access{}},
		{Container: "b", Root: "init", Complete: false, Weak: []string{"why"}, Accesses: []trace.Access{{Op: trace.Create, Path: "/x", Count: 5, Bytes: 9}}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

func TestPrefix(t *testing.T) {
	for depth, want := range []string{"", "/a", "/a/b", "/a/b/c", "/a/b/c"} {
		if got := prefix("/a/b/c", depth); got != want {
			t.Errorf("prefix of depth %d: got %q, want %q", depth, got, want)
		}
	}
	if path.Dir("/") != "/" {
		t.Error("covering would not end")
	}
}
