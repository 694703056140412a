package profile

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// An Input holds the results of one or more writable runs of a container.
type Input struct {
	Name   string // of the container
	Image  string // reference as in the manifest
	Digest string // of the image's manifest
	Method string // "ptrace" or "upperdir"

	Traces []trace.Trace // of all runs; those of other containers are passed over
	Left   []Leftover    // entries that the runs left on the root file system
	Rootfs Rootfs
}

// A Leftover is one entry of the overlay's upper directory after a run. It is
// evidence of writes that were not traced, but not of the program that wrote.
type Leftover struct {
	tree.Entry      // as it is now; only its Path if Deleted
	Deleted    bool // a whiteout
	Touched    bool // a directory that was copied up or got a new mtime, and nothing in it survived: files came and went
}

// Derive returns the profile of a container: its writes to its root file system
// and the smallest set of volumes that allows them. The result does not depend
// on the order of traces, accesses or leftovers.
func Derive(in Input) Container {
	mounted := in.mounted()
	in.Rootfs = in.Rootfs.canonical()
	l := newWriteSet(in.Rootfs)
	tools := in.Rootfs.hasCopyTools()
	c := Container{
		Name: in.Name, Image: in.Image, Digest: in.Digest, Method: in.Method,
		User: &UserGroup{in.Rootfs.User.UID, in.Rootfs.User.GID}, CopyTools: &tools, Mounts: mounted,
	}
	for _, t := range in.Traces {
		if in.passesOver(t.Container) {
			continue
		}
		c.Weak = union(c.Weak, t.Weak)
		if !t.Complete {
			c.Weak = union(c.Weak, []string{"a traced run was cut short"})
		}
		for _, a := range t.Accesses {
			l.trace(a)
		}
	}
	// Leftovers come after all traces, because a leftover that a trace explains
	// must not be added again.
	inOrder := func(a, b Leftover) int { return tree.ComparePaths(a.Path, b.Path) }
	for _, left := range slices.SortedFunc(slices.Values(in.Left), inOrder) {
		l.leftover(left)
	}
	c.Writes, c.Refused, c.Spared = l.lists()
	c.Writes, c.Refused, c.Spared = once(c.Writes), once(c.Refused), once(c.Spared)
	return Plan(c, in.Rootfs)
}

// passesOver reports whether traces of a container are those of another one.
func (in Input) passesOver(container string) bool {
	return in.Name != "" && container != "" && container != in.Name
}

// leftover adds the writes that an entry of the upper directory implies and
// that no trace has.
func (l *writeSet) leftover(left Leftover) {
	if l.rootfs.onMount(left.Path) || l.rootfs.holdsMount(left.Path) || isKernels(left.Path) {
		return // the runtime made it, to mount something there
	}
	was, had := l.rootfs.Tree.Lookup(left.Path)
	isDir := left.Kind == tree.Directory && !left.Deleted
	made := isDir && (!had || was.Kind != tree.Directory)
	if made && !had && l.rootfs.leadsToWorkDir(left.Path) && left.Mode == 0o755 && left.UID == 0 && left.GID == 0 {
		return // the runtime made it, to start the program there
	}
	switch {
	case left.Deleted:
		l.witness(left, trace.Unlink)
	case made:
		l.witness(left, trace.Mkdir)
		l.made(left.Entry)
	// Files were created and removed in the directory, and no trace has them.
	case isDir && left.Touched && !l.wroteIn(left.Path):
		left.Path = path.Join(left.Path, "*")
		l.witness(left, trace.Create)
	case isDir:
		var ops []trace.Op
		if was.UID != left.UID || was.GID != left.GID {
			ops = append(ops, trace.Chown)
		}
		if was.Mode != left.Mode {
			ops = append(ops, trace.Chmod)
		}
		if len(ops) > 0 {
			l.witness(left, ops...)
		}
	case had && was.Kind == left.Kind:
		l.witness(left, trace.Write)
	default:
		l.witness(left, opThatMakes(left.Kind))
	}
}

func opThatMakes(k tree.Kind) trace.Op {
	switch k {
	case tree.Symlink:
		return trace.Symlink
	case tree.Socket:
		return trace.Bind
	case tree.Regular:
		return trace.Create
	}
	return trace.Mknod
}
