// Package trace describes the writes of a container that the kernel saw. A
// Trace holds those of one traced process tree, folded so that its size stays
// bounded however long the container runs.
package trace

// Op is one kind of modification, named for the system call family.
type Op string

// The operations.
const (
	Create   Op = "create"   // open or creat that made the file
	Write    Op = "write"    // open of an existing file for writing
	Truncate Op = "truncate" // also open with O_TRUNC
	Tmpfile  Op = "tmpfile"  // O_TMPFILE; Path is the directory
	Mkdir    Op = "mkdir"
	Mknod    Op = "mknod"
	Unlink   Op = "unlink"
	Rmdir    Op = "rmdir"
	Rename   Op = "rename" // one Access for the old path, one for the new
	Link     Op = "link"   // Path is the new name
	Symlink  Op = "symlink"
	Chmod    Op = "chmod"
	Chown    Op = "chown"
	Utime    Op = "utime"
	Xattr    Op = "xattr"
	Bind     Op = "bind"   // a unix socket given a path
	Check    Op = "access" // access(W_OK): the program asked whether it may write
)

// Ops returns all operations.
func Ops() []Op {
	return []Op{
		Create, Write, Truncate, Tmpfile, Mkdir, Mknod, Unlink, Rmdir, Rename, Link, Symlink,
		Chmod, Chown, Utime, Xattr, Bind, Check,
	}
}

// An Access is all the calls of one operation on one path by one program with
// one result, folded together.
type Access struct {
	Op    Op     `json:"op"`
	Path  string `json:"path"`            // canonical in the container's root; "dir/*" stands for many names in dir
	Peer  string `json:"peer,omitempty"`  // of a Rename or Link between two directories: "dir/*" of the other end's
	Mount string `json:"mount,omitempty"` // mount point the path lies on; empty for the root file system
	Exe   string `json:"exe,omitempty"`   // path of the program in the container
	UID   uint32 `json:"uid"`             // effective, in the container
	Errno string `json:"errno,omitempty"` // "EROFS"; empty if the call succeeded
	Count int    `json:"count"`
	Bytes int64  `json:"bytes,omitempty"` // largest size of the file seen
}

// A Trace holds the accesses of one traced process tree of a container.
type Trace struct {
	Container string   `json:"container"`      // name in the pod
	Root      string   `json:"root"`           // "init"; "exec" for a command run in the container, as by a probe; "exercise" for one that is load
	Complete  bool     `json:"complete"`       // the tree ended and everything was seen
	Weak      []string `json:"weak,omitempty"` // why something may have been missed: io_uring, a 32-bit program
	Accesses  []Access `json:"accesses"`
}
