package observe

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// at is an access of the writer to a path of its working directory; a path
// that starts with a slash is one of the container.
func at(op Op, path string, change ...func(*Access)) Access {
	if !strings.HasPrefix(path, "/") {
		path = "/desk/" + path
	}
	a := Access{Op: op, Path: path, Exe: "/bin/writer", Count: 1}
	for _, c := range change {
		c(&a)
	}
	return a
}

func errno(name string) func(*Access) { return func(a *Access) { a.Errno = name } }
func count(n int) func(*Access)       { return func(a *Access) { a.Count = n } }
func sized(n int64) func(*Access)     { return func(a *Access) { a.Bytes = n } }
func by(uid uint32) func(*Access)     { return func(a *Access) { a.UID = uid } }
func on(mount string) func(*Access)   { return func(a *Access) { a.Mount = mount } }

type kindTest struct {
	kind string
	want []Access
	weak []string
}

// commonKinds are the writes that exist on every architecture.
var commonKinds = []kindTest{
	{kind: "openat-create", want: []Access{at(Create, "new")}},
	{kind: "openat-excl", want: []Access{at(Create, "new")}},
	{kind: "openat-write", want: []Access{at(Write, "old", sized(7))}},
	{kind: "openat-creating-old", want: []Access{at(Write, "old", sized(7))}},
	{kind: "openat-truncate", want: []Access{at(Truncate, "old", sized(7))}},
	{kind: "openat-readonly-truncate", want: []Access{at(Truncate, "old", sized(7))}},
	{kind: "openat-read"},
	{kind: "openat-path"},
	{kind: "openat-absolute", want: []Access{at(Create, "new")}},
	{kind: "openat-dots", want: []Access{at(Create, "sub/new")}},
	{kind: "openat-dirfd", want: []Access{at(Create, "sub/new")}},
	{kind: "openat-dirfd-up", want: []Access{at(Create, "new")}},
	{kind: "openat-link", want: []Access{at(Write, "old", sized(7))}},
	{kind: "openat-dirlink", want: []Access{at(Create, "sub/new")}},
	{kind: "openat-fd", want: []Access{at(Write, "old", sized(7))}},
	{kind: "openat-fd-creating", want: []Access{at(Write, "old", sized(7))}},
	{kind: "openat2", want: []Access{at(Create, "sub/new")}},
	{kind: "handle", want: []Access{at(Write, "old", sized(7))}},
	{kind: "tmpfile", want: []Access{at(Tmpfile, "sub")}},
	{kind: "tmpfile-linkat", want: []Access{at(Link, "new"), at(Tmpfile, "sub")}},
	{kind: "mmap", want: []Access{at(Write, "old", sized(7))}},
	{kind: "unlinked", want: []Access{at(Create, "new"), at(Unlink, "new"), at(Write, "new")}},
	{kind: "mkdirat", want: []Access{at(Mkdir, "sub/new")}},
	{kind: "mkdir-slash", want: []Access{at(Mkdir, "new")}},
	{kind: "mknodat", want: []Access{at(Mknod, "sub/new")}},
	{kind: "mkfifo", want: []Access{at(Mknod, "new")}},
	{kind: "fifo-open"},
	{kind: "unlinkat", want: []Access{at(Unlink, "sub/in")}},
	{kind: "rmdirat", want: []Access{at(Rmdir, "empty")}},
	{kind: "symlinkat", want: []Access{at(Symlink, "sub/new")}},
	{kind: "linkat", want: []Access{at(Link, "sub/new")}},
	{kind: "renameat", want: []Access{at(Rename, "old", sized(7)), at(Rename, "sub/new")}},
	{kind: "renameat2", want: []Access{at(Rename, "old", sized(7)), at(Rename, "sub/in")}},
	{kind: "fchmodat", want: []Access{at(Chmod, "sub/in")}},
	{kind: "fchmodat2", want: []Access{at(Chmod, "sub/in")}},
	{kind: "fchmod", want: []Access{at(Chmod, "old", sized(7))}},
	{kind: "chmod-fd", want: []Access{at(Chmod, "old", sized(7))}},
	{kind: "chmod-link", want: []Access{at(Chmod, "old", sized(7))}},
	{kind: "fchownat", want: []Access{at(Chown, "sub/in")}},
	{kind: "fchownat-empty", want: []Access{at(Chown, "old", sized(7))}},
	{kind: "fchownat-link", want: []Access{at(Chown, "link")}},
	{kind: "fchown", want: []Access{at(Chown, "sub")}},
	{kind: "utimensat", want: []Access{at(Utime, "sub/in")}},
	{kind: "futimens", want: []Access{at(Utime, "old", sized(7))}},
	{kind: "truncate", want: []Access{at(Truncate, "old", sized(7))}},
	{kind: "ftruncate", want: []Access{at(Write, "old", sized(7))}},
	{kind: "setxattr", want: []Access{at(Xattr, "old", sized(7))}},
	{kind: "lsetxattr", want: []Access{at(Xattr, "link")}},
	{kind: "fsetxattr", want: []Access{at(Xattr, "old", sized(7))}},
	{kind: "removexattr", want: []Access{at(Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "lremovexattr", want: []Access{at(Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "fremovexattr", want: []Access{at(Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "setxattrat", want: []Access{at(Xattr, "sub/in")}},
	{kind: "setflags", want: []Access{at(Xattr, "old", sized(7))}},
	{kind: "bind", want: []Access{at(Bind, "sub/new")}},
	{kind: "bind-other"},
	{kind: "io_uring", weak: []string{"io_uring: its requests are not seen"}},
	{kind: "traceme", weak: []string{"a program wants to trace another, which it cannot while it is traced itself"}},
	{kind: "device"},
	{kind: "proc", want: []Access{at(Write, "/proc/self/comm", on("/proc"))}},
	{kind: "memfd"},
	{kind: "pipe"},
	{kind: "odd-name", want: []Access{at(Create, "bad\\xff\"\n")}},
	{kind: "no-directory", want: []Access{at(Mkdir, "none/such/new", errno("ENOENT"))}},
	{kind: "no-file", want: []Access{at(Chmod, "none", errno("ENOENT")), at(Unlink, "none", errno("ENOENT")),
		at(Create, "none/new", errno("ENOENT"))}},
	{kind: "exists", want: []Access{at(Create, "old", errno("EEXIST"), sized(7)), at(Mkdir, "sub", errno("EEXIST"))}},
	{kind: "a-directory", want: []Access{at(Write, "sub", errno("EISDIR"))}},
	{kind: "refused", want: []Access{
		at(Write, "old", errno("EACCES"), by(12345), sized(7)),
		at(Chmod, "sub"),
		at(Create, "sub/new", errno("EACCES"), by(12345)),
	}},
	{kind: "read-only", want: []Access{at(Create, "/ro/new", on("/ro"), errno("EROFS")), at(Unlink, "/ro/in", on("/ro"), errno("EROFS"))}},
	{kind: "bad-pointer"},
	{kind: "empty-path"},
	{kind: "chroot", want: []Access{
		at(Mkdir, "outside"), at(Mkdir, "sub/inside"), at(Symlink, "sub/abs"), at(Chmod, "sub/in"),
		at(Create, "sub/new"), at(Unlink, "sub/new"),
	}},
	{kind: "unshare", want: []Access{at(Create, "new"), at(Create, "sub/new", on("/desk/sub"))}},
	{kind: "mount", want: []Access{
		at(Create, "sub/new", on("/desk/sub")), at(Unlink, "sub/in"), at(Unlink, "sub/new", on("/desk/sub"))}},
	{kind: "many", want: []Access{at(Create, "sub/*", count(100))}},
	{kind: "clone-space", want: []Access{at(Mkdir, "sub/new", on("/desk/sub"))}},
	{kind: "clone3", want: []Access{at(Mkdir, "new")}},
}

// sorted compares traces without regard to order.
var sorted = cmpopts.SortSlices(func(a, b Access) bool { return compareAccess(a, b) < 0 })

// TestKinds makes each kind of write in a directory that is the root of a
// mount namespace, and wants exactly its accesses.
func TestKinds(t *testing.T) {
	writer := buildWriter(t, "")
	for _, k := range append(commonKinds, legacyKinds...) {
		t.Run(k.kind, func(t *testing.T) { k.run(t, writer) })
	}
}

func (k kindTest) run(t *testing.T, writer string) {
	root := newRoot(t, writer)
	trace, status := enter(t, root, writer, k.kind)
	for i, a := range trace.Accesses {
		if a.Mount == "/proc" { // the number in it varies
			trace.Accesses[i].Path = "/proc/self/" + path.Base(a.Path)
		}
	}
	if status != 0 {
		t.Errorf("writer ended with %d", status)
	}
	if diff := cmp.Diff(trace.Accesses, k.want, sorted, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("accesses (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(trace.Weak, k.weak, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("weak (-got +want):\n%s", diff)
	}
}

// enter runs the writer traced with root as the root of its mount namespace.
func enter(t *testing.T, root, writer string, args ...string) (Trace, int) {
	t.Helper()
	trace, status, err := Run(t.Context(), Command{Path: writer, Args: append([]string{"writer", "enter", root}, args...),
		Stdout: os.Stdout, Stderr: os.Stderr, Entered: true})
	if err != nil {
		t.Fatal(err)
	}
	if !trace.Complete {
		t.Error("trace is not complete")
	}
	return trace, status
}

// TestHost runs a program without any namespace: its paths are the host's.
func TestHost(t *testing.T) {
	writer := buildWriter(t, "")
	work := filepath.Join(t.TempDir(), "desk")
	fillWork(t, work)
	trace, status, err := Run(t.Context(), Command{Path: writer, Args: []string{"writer", "openat-create", "openat-write"}, Dir: work})
	if err != nil || status != 0 {
		t.Fatal(status, err)
	}
	var got []string
	for _, a := range trace.Accesses {
		got = append(got, string(a.Op)+" "+strings.TrimPrefix(a.Path, work))
	}
	if diff := cmp.Diff(got, []string{"create /new", "write /old"}); diff != "" {
		t.Error(diff)
	}
}
