package observe

import (
	"testing"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// legacyKinds are the kinds of write that have a system call of their own on
// x86 only.
var legacyKinds = []kindTest{
	{kind: "open", want: []trace.Access{at(trace.Create, "new")}},
	{kind: "creat", want: []trace.Access{at(trace.Create, "new")}},
	{kind: "creat-old", want: []trace.Access{at(trace.Truncate, "old", sized(7))}},
	{kind: "mkdir", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "mknod", want: []trace.Access{at(trace.Mknod, "new")}},
	{kind: "unlink", want: []trace.Access{at(trace.Unlink, "old", sized(7))}},
	{kind: "rmdir", want: []trace.Access{at(trace.Rmdir, "empty")}},
	{kind: "symlink", want: []trace.Access{at(trace.Symlink, "new")}},
	{kind: "link", want: []trace.Access{at(trace.Link, "new")}},
	{kind: "rename", want: []trace.Access{at(trace.Rename, "new"), at(trace.Rename, "old", sized(7))}},
	{kind: "chmod", want: []trace.Access{at(trace.Chmod, "old", sized(7))}},
	{kind: "chown", want: []trace.Access{at(trace.Chown, "old", sized(7))}},
	{kind: "lchown", want: []trace.Access{at(trace.Chown, "link")}},
	{kind: "access-legacy", want: []trace.Access{at(trace.Check, "old", sized(7))}},
	{kind: "int80", want: []trace.Access{at(trace.Mkdir, "new")}},
	{kind: "utime", want: []trace.Access{at(trace.Utime, "old", sized(7))}},
	{kind: "utimes", want: []trace.Access{at(trace.Utime, "old", sized(7))}},
	{kind: "futimesat", want: []trace.Access{at(trace.Utime, "old", sized(7))}},
}

// TestKinds32 makes the same writes from a 32-bit program.
func TestKinds32(t *testing.T) {
	writer := buildWriter(t, "386")
	for _, k := range commonKinds {
		switch k.kind {
		case "handle": // not in the library for 386
		default:
			t.Run(k.kind, func(t *testing.T) { k.run(t, writer) })
		}
	}
}
