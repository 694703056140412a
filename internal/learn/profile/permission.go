package profile

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

const (
	mayWrite  = 0o2
	maySearch = 0o1
)

// couldSucceed reports whether a call that ended with EROFS could have
// succeeded on a writable root, by the image: whether the entry that it changes
// exists, and whether its owner and mode permit the change. If that is unknown
// it returns true, because a false failure is examined, but a missed one is a
// program that breaks later. Root may change everything: whether the
// container lacks CAP_DAC_OVERRIDE is not known here.
func couldSucceed(a trace.Access, s Rootfs) bool {
	switch a.Op {
	case trace.Unlink, trace.Rmdir, trace.Chmod, trace.Chown, trace.Utime, trace.Xattr, trace.Truncate, trace.Check:
		if path.Base(a.Path) != "*" && !s.has(a.Path) {
			return false // ENOENT
		}
	}
	if a.UID == 0 {
		return true
	}
	dir := path.Dir(a.Path)
	// Without search permission on every directory above it, the path cannot be
	// resolved (path_resolution(7)).
	for at := dir; ; at = path.Dir(at) {
		if e, ok := s.Tree.Lookup(at); ok && !s.User.may(a.UID, e, maySearch) {
			return false
		}
		if at == "/" {
			break
		}
	}
	// Changing an existing entry needs permission on the entry; creating,
	// removing or renaming one needs permission on its directory.
	e, onEntry := s.Tree.Lookup(a.Path)
	switch {
	case onEntry && ownership(a.Op):
		return e.UID == a.UID
	case onEntry && a.Op == trace.Check:
		return s.User.may(a.UID, e, mayWrite)
	case onEntry && (isAttribute(a.Op) || family(a.Op) == trace.Create || a.Op == trace.Tmpfile):
		return e.UID == a.UID || s.User.may(a.UID, e, mayWrite)
	}
	e, ok := s.Tree.Lookup(dir)
	return !ok || s.User.may(a.UID, e, mayWrite|maySearch)
}

// may reports whether the modes of an entry grant a permission to a user. The
// groups are those of the container's user. Those of another user are not
// known, so the entry's group may be one of them.
func (u User) may(uid uint32, e tree.Entry, want uint32) bool {
	switch {
	case uid == 0:
		return true
	case uid == e.UID:
		return e.Mode>>6&want == want
	case uid != u.UID:
		return e.Mode>>3&want == want || e.Mode&want == want
	case e.GID == u.GID || slices.Contains(u.Groups, e.GID):
		return e.Mode>>3&want == want
	}
	return e.Mode&want == want
}
