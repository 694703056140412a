package observe

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// at returns an access of the writer to a path in its working directory. A path
// that starts with a slash is one in the container.
func at(op trace.Op, path string, change ...func(*trace.Access)) trace.Access {
	if !strings.HasPrefix(path, "/") {
		path = "/desk/" + path
	}
	a := trace.Access{Op: op, Path: path, Exe: "/bin/writer", Count: 1}
	for _, c := range change {
		c(&a)
	}
	return a
}

func errno(name string) func(*trace.Access) { return func(a *trace.Access) { a.Errno = name } }
func count(n int) func(*trace.Access)       { return func(a *trace.Access) { a.Count = n } }
func sized(n int64) func(*trace.Access)     { return func(a *trace.Access) { a.Bytes = n } }
func peer(dir string) func(*trace.Access)   { return func(a *trace.Access) { a.Peer = dir } }
func by(uid uint32) func(*trace.Access)     { return func(a *trace.Access) { a.UID = uid } }
func on(mount string) func(*trace.Access)   { return func(a *trace.Access) { a.Mount = mount } }

type kindTest struct {
	kind string
	want []trace.Access
	weak []string
}

// commonKinds are the writes that exist on every architecture.
var commonKinds = []kindTest{
	{kind: "openat-create", want: []trace.Access{at(trace.Create, "new", sized(5))}},
	{kind: "openat-excl", want: []trace.Access{at(trace.Create, "new", sized(5))}},
	{kind: "openat-write", want: []trace.Access{at(trace.Write, "old", sized(12))}},
	{kind: "openat-creating-old", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "openat-truncate", want: []trace.Access{at(trace.Truncate, "old", sized(7))}},
	{kind: "openat-readonly-truncate", want: []trace.Access{at(trace.Truncate, "old", sized(7))}},
	{kind: "openat-read"},
	{kind: "openat-locking"},
	{kind: "openat-locking-new", want: []trace.Access{at(trace.Create, "new")}},
	{kind: "openat-path"},
	{kind: "openat-absolute", want: []trace.Access{at(trace.Create, "new", sized(5))}},
	{kind: "openat-dots", want: []trace.Access{at(trace.Create, "sub/new", sized(5))}},
	{kind: "openat-dirfd", want: []trace.Access{at(trace.Create, "sub/new", sized(5))}},
	{kind: "openat-dirfd-up", want: []trace.Access{at(trace.Create, "new", sized(5))}},
	{kind: "openat-link", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "openat-dirlink", want: []trace.Access{at(trace.Create, "sub/new", sized(5))}},
	{kind: "openat-fd", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "openat-fd-creating", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "openat2", want: []trace.Access{at(trace.Create, "sub/new", sized(5))}},
	{kind: "handle", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "tmpfile", want: []trace.Access{at(trace.Tmpfile, "sub", sized(5))}},
	{kind: "tmpfile-linkat", want: []trace.Access{at(trace.Link, "new", peer("/desk/sub/*")), at(trace.Tmpfile, "sub")}},
	{kind: "tmpfile-grows", want: []trace.Access{at(trace.Tmpfile, "sub", sized(5_000_000))}},
	{kind: "unlinked-grows", want: []trace.Access{at(trace.Create, "new", sized(5_000_000)), at(trace.Unlink, "new")}},
	{kind: "access", want: []trace.Access{at(trace.Check, "old", sized(7)), at(trace.Check, "sub")}},
	{kind: "access-old", want: []trace.Access{at(trace.Check, "sub/in")}},
	{kind: "access-empty", want: []trace.Access{at(trace.Check, "sub")}},
	{kind: "access-other"},
	{kind: "mmap", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "unlinked", want: []trace.Access{at(trace.Create, "new", sized(5)), at(trace.Unlink, "new"), at(trace.Write, "new", sized(5))}},
	{kind: "mkdirat", want: []trace.Access{at(trace.Mkdir, "sub/new")}},
	{kind: "mkdir-slash", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "mknodat", want: []trace.Access{at(trace.Mknod, "sub/new")}},
	{kind: "mkfifo", want: []trace.Access{at(trace.Mknod, "new")}},
	{kind: "fifo-open"},
	{kind: "unlinkat", want: []trace.Access{at(trace.Unlink, "sub/in")}},
	{kind: "rmdirat", want: []trace.Access{at(trace.Rmdir, "empty")}},
	{kind: "symlinkat", want: []trace.Access{at(trace.Symlink, "sub/new")}},
	{kind: "linkat", want: []trace.Access{at(trace.Link, "sub/new", peer("/desk/*"))}},
	{kind: "renameat", want: []trace.Access{at(trace.Rename, "old", sized(7), peer("/desk/sub/*")), at(trace.Rename, "sub/new", peer("/desk/*"))}},
	{kind: "renameat2", want: []trace.Access{at(trace.Rename, "old", sized(7), peer("/desk/sub/*")), at(trace.Rename, "sub/in", peer("/desk/*"))}},
	{kind: "fchmodat", want: []trace.Access{at(trace.Chmod, "sub/in")}},
	{kind: "fchmodat2", want: []trace.Access{at(trace.Chmod, "sub/in")}},
	{kind: "fchmod", want: []trace.Access{at(trace.Chmod, "old", sized(7))}},
	{kind: "chmod-fd", want: []trace.Access{at(trace.Chmod, "old", sized(7))}},
	{kind: "chmod-link", want: []trace.Access{at(trace.Chmod, "old", sized(7))}},
	{kind: "fchownat", want: []trace.Access{at(trace.Chown, "sub/in")}},
	{kind: "fchownat-empty", want: []trace.Access{at(trace.Chown, "old", sized(7))}},
	{kind: "fchownat-link", want: []trace.Access{at(trace.Chown, "link")}},
	{kind: "fchown", want: []trace.Access{at(trace.Chown, "sub")}},
	{kind: "utimensat", want: []trace.Access{at(trace.Utime, "sub/in")}},
	{kind: "futimens", want: []trace.Access{at(trace.Utime, "old", sized(7))}},
	{kind: "utimensat-omit"},
	{kind: "truncate", want: []trace.Access{at(trace.Truncate, "old", sized(7))}},
	{kind: "ftruncate", want: []trace.Access{at(trace.Write, "old", sized(7))}},
	{kind: "setxattr", want: []trace.Access{at(trace.Xattr, "old", sized(7))}},
	{kind: "lsetxattr", want: []trace.Access{at(trace.Xattr, "link")}},
	{kind: "fsetxattr", want: []trace.Access{at(trace.Xattr, "old", sized(7))}},
	{kind: "removexattr", want: []trace.Access{at(trace.Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "lremovexattr", want: []trace.Access{at(trace.Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "fremovexattr", want: []trace.Access{at(trace.Xattr, "old", sized(7), errno("ENODATA"))}},
	{kind: "setxattrat", want: []trace.Access{at(trace.Xattr, "sub/in")}},
	{kind: "setflags", want: []trace.Access{at(trace.Xattr, "old", sized(7))}},
	{kind: "bind", want: []trace.Access{at(trace.Bind, "sub/new")}},
	{kind: "bind-other"},
	{kind: "io_uring", weak: []string{"io_uring of /bin/writer: its requests are not seen"}},
	{kind: "listener", weak: []string{"a seccomp listener of /bin/writer answers system calls, which are not seen"}},
	{kind: "asks-tracer"},
	{kind: "traceme", weak: []string{"a program wants to trace another, which it cannot while it is traced itself"}},
	{kind: "device"},
	{kind: "proc", want: []trace.Access{at(trace.Write, "/proc/self/comm", on("/proc"))}},
	{kind: "memfd"},
	{kind: "pipe"},
	{kind: "odd-name", want: []trace.Access{at(trace.Create, "bad\\xff\"\n", sized(5))}},
	{kind: "no-directory", want: []trace.Access{at(trace.Mkdir, "none/such/new", errno("ENOENT"))}},
	{kind: "no-file", want: []trace.Access{at(trace.Chmod, "none", errno("ENOENT")), at(trace.Unlink, "none", errno("ENOENT")),
		at(trace.Create, "none/new", errno("ENOENT"))}},
	{kind: "exists", want: []trace.Access{at(trace.Create, "old", errno("EEXIST"), sized(7)), at(trace.Mkdir, "sub", errno("EEXIST"))}},
	{kind: "a-directory", want: []trace.Access{at(trace.Write, "sub", errno("EISDIR"))}},
	{kind: "refused", want: []trace.Access{
		at(trace.Write, "old", errno("EACCES"), by(12345), sized(7)),
		at(trace.Chmod, "sub"),
		at(trace.Create, "sub/new", errno("EACCES"), by(12345)),
	}},
	{kind: "read-only", want: []trace.Access{at(trace.Create, "/ro/new", on("/ro"), errno("EROFS")), at(trace.Unlink, "/ro/in", on("/ro"), errno("EROFS"))}},
	{kind: "bad-pointer"},
	{kind: "empty-path"},
	{kind: "chroot", want: []trace.Access{
		at(trace.Mkdir, "outside"), at(trace.Mkdir, "sub/inside"), at(trace.Symlink, "sub/abs"), at(trace.Chmod, "sub/in"),
		at(trace.Create, "sub/new"), at(trace.Unlink, "sub/new"),
	}},
	{kind: "unshare", want: []trace.Access{at(trace.Create, "new"), at(trace.Create, "sub/new", on("/desk/sub"))}},
	{kind: "mount", want: []trace.Access{
		at(trace.Create, "sub/new", on("/desk/sub")), at(trace.Unlink, "sub/in"), at(trace.Unlink, "sub/new", on("/desk/sub"))}},
	{kind: "many", want: []trace.Access{at(trace.Create, "sub/*", count(100))}},
	{kind: "clone-space", want: []trace.Access{at(trace.Mkdir, "sub/new", on("/desk/sub"))}},
	{kind: "clone3", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "vfork", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "untraced", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "untraced-vfork", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "untraced-clone3", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "untraced-constant", want: []trace.Access{at(trace.Mkdir, "new")}},
}

// sorted compares traces without regard to order.
var sorted = cmpopts.SortSlices(func(a, b trace.Access) bool { return compareAccess(a, b) < 0 })

// TestKinds makes each kind of write in a directory that is the root of a mount
// namespace, and requires exactly its accesses.
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

// TestSealed makes each kind of write on a read-only root. A call is a write
// exactly if the kernel refuses it there with EROFS.
func TestSealed(t *testing.T) {
	writer := buildWriter(t, "")
	for _, k := range append(commonKinds, legacyKinds...) {
		t.Run(k.kind, func(t *testing.T) {
			sealed, status := enterAs(t, "enter-sealed", newRoot(t, writer), writer, k.kind)
			refused := slices.IndexFunc(sealed.Accesses, func(a trace.Access) bool { return a.Errno == "EROFS" && a.Mount == "" })
			written := slices.IndexFunc(k.want, func(a trace.Access) bool { return a.Errno == "" && a.Mount == "" })
			refuses := slices.ContainsFunc(k.want, func(a trace.Access) bool { return a.Errno != "" })
			switch {
			// The kernel may refuse a call with EROFS before it finds another error.
			case written < 0 && (refused >= 0 && !refuses || status != 0):
				t.Errorf("is no write, but ended with %d: %+v", status, sealed.Accesses)
			case written >= 0 && refused < 0 && status == 0:
				t.Errorf("is a write, but nothing was refused: %+v", sealed.Accesses)
			}
		})
	}
}

// enter runs the writer traced with root as the root of its mount namespace.
func enter(t *testing.T, root, writer string, args ...string) (trace.Trace, int) {
	t.Helper()
	return enterAs(t, "enter", root, writer, args...)
}

func enterAs(t *testing.T, how, root, writer string, args ...string) (trace.Trace, int) {
	t.Helper()
	trace, status, err := Run(t.Context(), Command{Path: writer, Args: append([]string{"writer", how, root}, args...),
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
