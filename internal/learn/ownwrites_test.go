package learn

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// TestOnlyTheLoadWrote checks which entries of an upper directory are left out as
// files of the load's own processes.
func TestOnlyTheLoadWrote(t *testing.T) {
	traceOf := func(root string, paths ...string) trace.Trace {
		tr := trace.Trace{Container: "c", Root: root}
		for _, p := range paths {
			tr.Accesses = append(tr.Accesses, trace.Access{Op: trace.Create, Path: p, Count: 1})
		}
		return tr
	}
	traces := []trace.Trace{
		traceOf("init", "/srv/both", "/srv/server", "/run/many/*"),
		traceOf("exec", "/tmp/probe"),
		traceOf("exercise", "/tmp/mine", "/srv/both", "/root/.history", "/var/tmp/*"),
	}
	file := func(path string) profile.Leftover {
		return profile.Leftover{Entry: tree.Entry{Path: path, Kind: tree.Regular}}
	}
	touched := func(path string) profile.Leftover {
		return profile.Leftover{Entry: tree.Entry{Path: path, Kind: tree.Directory}, Touched: true}
	}
	left := []profile.Leftover{
		file("/tmp/mine"), file("/srv/both"), file("/srv/server"), file("/tmp/probe"), file("/root/.history"), file("/var/tmp/x"),
		file("/run/many/y"), file("/untraced"), touched("/root"), touched("/tmp"), touched("/srv"), touched("/opt"),
	}
	var got []string
	for _, l := range withoutExercise(left, traces) {
		got = append(got, l.Path)
	}
	want := []string{"/srv/both", "/srv/server", "/tmp/probe", "/run/many/y", "/untraced", "/tmp", "/srv", "/opt"}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("left (-got +want):\n%s", d)
	}
}

// TestBorrowedVolumes checks that the workload's own writes to a volume that a trial
// has for its load count as failed calls.
func TestBorrowedVolumes(t *testing.T) {
	lent := loan{"c": {{MountPath: "/tmp"}}}
	access := func(path, mount, errno string) trace.Access {
		return trace.Access{Op: trace.Create, Path: path, Mount: mount, Errno: errno, Count: 1}
	}
	all := []trace.Access{access("/tmp/a", "/tmp", ""), access("/tmp/b", "/tmp", "ENOENT"), access("/srv/c", "/srv", ""), access("/d", "", "")}
	traces := []trace.Trace{
		{Container: "c", Root: "init", Accesses: all},
		{Container: "c", Root: "exercise", Accesses: all},
		{Container: "other", Root: "init", Accesses: all},
	}
	got := lent.repaid(traces)
	want := []trace.Access{access("/tmp/a", "", "EROFS"), access("/tmp/b", "/tmp", "ENOENT"), access("/srv/c", "/srv", ""), access("/d", "", "")}
	if d := cmp.Diff(got[0].Accesses, want); d != "" {
		t.Errorf("the workload (-got +want):\n%s", d)
	}
	for _, i := range []int{1, 2} {
		if d := cmp.Diff(got[i].Accesses, all); d != "" {
			t.Errorf("%s in %s (-got +want):\n%s", got[i].Root, got[i].Container, d)
		}
	}
	if traces[0].Accesses[0].Errno != "" {
		t.Error("the traces were changed in place")
	}
}
