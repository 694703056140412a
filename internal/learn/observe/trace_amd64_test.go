package observe

import "testing"

// legacyKinds are the writes that only x86 has a system call for.
var legacyKinds = []kindTest{
	{kind: "open", want: []Access{at(Create, "new")}},
	{kind: "creat", want: []Access{at(Create, "new")}},
	{kind: "creat-old", want: []Access{at(Truncate, "old", sized(7))}},
	{kind: "mkdir", want: []Access{at(Mkdir, "new")}},
	{kind: "mknod", want: []Access{at(Mknod, "new")}},
	{kind: "unlink", want: []Access{at(Unlink, "old", sized(7))}},
	{kind: "rmdir", want: []Access{at(Rmdir, "empty")}},
	{kind: "symlink", want: []Access{at(Symlink, "new")}},
	{kind: "link", want: []Access{at(Link, "new")}},
	{kind: "rename", want: []Access{at(Rename, "new"), at(Rename, "old", sized(7))}},
	{kind: "chmod", want: []Access{at(Chmod, "old", sized(7))}},
	{kind: "chown", want: []Access{at(Chown, "old", sized(7))}},
	{kind: "lchown", want: []Access{at(Chown, "link")}},
	{kind: "utime", want: []Access{at(Utime, "old", sized(7))}},
	{kind: "utimes", want: []Access{at(Utime, "old", sized(7))}},
	{kind: "futimesat", want: []Access{at(Utime, "old", sized(7))}},
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
