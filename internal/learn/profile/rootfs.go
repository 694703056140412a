package profile

import (
	"cmp"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// image is the tree of an image; tree.Tree implements it.
type image interface {
	Lookup(path string) (tree.Entry, bool)
	Under(path string) iter.Seq[tree.Entry]
	Resolve(path string) (canonical string, exists bool, err error)
}

// Rootfs is the root file system that a container's writes are compared with.
type Rootfs struct {
	Tree   image   // of the container's image; required
	Mounts []Mount // the pod's volumes in the container and the runtime's mounts, without the image's VOLUMEs
	User   User    // whom the container's first process runs as
	Path   string  // the image's $PATH; the usual one if empty
	// WorkDir is the directory in which it starts, empty for the root. The runtime
	// creates it if the image does not have it.
	WorkDir string
}

// A Mount is a path in a container that is not on its root file system: a
// volume of the pod, or a mount of the runtime (/proc, /etc/hosts).
type Mount struct {
	Path     string
	ReadOnly bool
	Volume   bool // of the pod, and not a mount of the runtime
}

// User holds the user and groups of a process.
type User struct {
	UID    uint32
	GID    uint32
	Groups []uint32
}

// canonical returns a Rootfs whose mount paths have no symbolic links.
func (s Rootfs) canonical() Rootfs {
	mounts := slices.Clone(s.Mounts)
	for i := range mounts {
		mounts[i].Path = s.resolve(mounts[i].Path)
	}
	s.Mounts = mounts
	if s.WorkDir != "" {
		s.WorkDir = s.resolve("/" + s.WorkDir)
	}
	return s
}

// resolve returns the path without symbolic links. It does not change a path
// with a loop of links, where the kernel could not have written.
func (s Rootfs) resolve(name string) string {
	if canonical, _, err := s.Tree.Resolve(name); err == nil {
		return canonical
	}
	return path.Clean(name)
}

// onMount reports whether a path is a mount point or below one.
func (s Rootfs) onMount(name string) bool {
	return slices.ContainsFunc(s.Mounts, func(m Mount) bool { return within(name, m.Path) })
}

// onRoot reports whether an access counts as one to the root file system.
// Accesses to the VOLUMEs of the image count, because only some runtimes mount
// a writable directory there.
func (s Rootfs) onRoot(a trace.Access) bool {
	return !s.onMount(a.Path) && !isKernels(a.Path) && !isKernels(a.Mount)
}

// onReadOnlyMount reports whether a path is on a mount that is read-only on
// purpose.
func (s Rootfs) onReadOnlyMount(name string) bool {
	var on Mount
	for _, m := range s.Mounts {
		if within(name, m.Path) && len(m.Path) > len(on.Path) {
			on = m
		}
	}
	return on.ReadOnly
}

// holdsMount reports whether a mount is below a directory.
func (s Rootfs) holdsMount(dir string) bool {
	return slices.ContainsFunc(s.Mounts, func(m Mount) bool { return m.Path != dir && within(m.Path, dir) })
}

// leadsToWorkDir reports whether a path is the working directory or above it.
func (s Rootfs) leadsToWorkDir(name string) bool { return s.WorkDir != "" && within(s.WorkDir, name) }

// isDir reports whether there is a directory at a path when the program starts.
func (s Rootfs) isDir(name string) bool {
	e, ok := s.Tree.Lookup(name)
	return name == "/" || ok && e.Kind == tree.Directory || !ok && s.leadsToWorkDir(name)
}

// has reports whether there is anything at a path when the program starts.
func (s Rootfs) has(name string) bool {
	_, ok := s.Tree.Lookup(name)
	return ok || name == "/" || s.leadsToWorkDir(name)
}

// anchor returns the nearest directory of the image: the path itself or one
// above it.
func (s Rootfs) anchor(dir string) string {
	for !s.isDir(dir) {
		dir = path.Dir(dir)
	}
	return dir
}

// content returns the number of the image's entries below a path. Entries that
// the container's mounts hide do not count.
func (s Rootfs) content(name string) (entries int) {
	for e := range s.Tree.Under(name) {
		if e.Path == name && e.Kind == tree.Directory || s.onMount(e.Path) || s.onlyHoldsMounts(e) {
			continue
		}
		entries++
	}
	return entries
}

// onlyHoldsMounts reports whether an entry is an empty directory, or one that
// only leads to mount points.
func (s Rootfs) onlyHoldsMounts(e tree.Entry) bool {
	if e.Kind != tree.Directory || !s.holdsMount(e.Path) {
		return false
	}
	for below := range s.Tree.Under(e.Path) {
		if below.Path != e.Path && !s.onMount(below.Path) {
			return false
		}
	}
	return true
}

// usualPath is the $PATH that a runtime gives a container whose image has none.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// hasCopyTools reports whether the image has the programs of the script with
// which package manifest fills volumes.
func (s Rootfs) hasCopyTools() bool {
	for _, tool := range []string{"sh", "cp", "mv", "rm", "mkdir", "chmod", "chown"} {
		found := slices.ContainsFunc(strings.Split(cmp.Or(s.Path, usualPath), ":"), func(dir string) bool {
			e, ok := s.Tree.Lookup(s.resolve(path.Join("/", dir, tool)))
			return ok && e.Kind == tree.Regular && e.Mode&0o111 != 0
		})
		if !found {
			return false
		}
	}
	return true
}

// within reports whether a path is a directory or lies below it. Both are
// clean and absolute.
func within(name, dir string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, dir) && name[len(dir)] == '/'
}

// childOf returns the path's ancestor (or the path itself) whose parent is dir.
func childOf(name, dir string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
	first, _, _ := strings.Cut(rest, "/")
	return path.Join(dir, first)
}

// commonDir returns the deepest directory that contains or is both paths.
func commonDir(a, b string) string {
	for !within(b, a) {
		a = path.Dir(a)
	}
	return a
}
