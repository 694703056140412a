package overlay

import (
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// isMadeByRuntime reports whether a container runtime creates such an entry in the
// root file system before the container starts. Only the entry itself is omitted;
// changes below it are still listed.
func (w *walk) isMadeByRuntime(e tree.Entry) bool {
	return w.opts.Mounts != nil && (w.isMountTarget(e) || w.isWorkDir(e) || isMtab(e))
}

// isMountTarget reports whether a runtime created an entry as a mount point: an empty
// file or a directory at a mount point, or a directory above one, with a mode that runc
// or crun uses, without extended attributes, and owned by root or by the owner of the
// container's root. The conditions are strict because a program could otherwise hide a
// file at such a path.
func (w *walk) isMountTarget(e tree.Entry) bool {
	if !w.isOfRuntime(e) || len(e.Xattrs) > 0 {
		return false
	}
	switch e.Kind {
	case tree.Regular:
		return e.Size == 0 && slices.Contains([]uint32{0o755, 0o700, 0o644, 0o600}, e.Mode) &&
			slices.Contains(w.opts.Mounts, e.Path)
	case tree.Directory:
		return (e.Mode == 0o755 || e.Mode == 0o700) &&
			slices.ContainsFunc(w.opts.Mounts, func(point string) bool {
				return point == e.Path || strings.HasPrefix(point, e.Path+"/")
			})
	}
	return false
}

// isOfRuntime reports whether root or the owner of the container's root owns an entry.
func (w *walk) isOfRuntime(e tree.Entry) bool {
	return e.UID == 0 && e.GID == 0 || e.UID == w.owner.Uid && e.GID == w.owner.Gid
}

// isMtab reports whether an entry is the symbolic link that podman and CRI-O create.
func isMtab(e tree.Entry) bool {
	return e.Path == "/etc/mtab" && e.Kind == tree.Symlink && e.Target == "/proc/mounts" && e.UID == 0 && e.GID == 0
}

// isOwnRoot reports whether the upper directory has the mode with which snapshotters
// create it. They use this mode for every image, so that a difference of the root
// directory does not come from the container.
func (w *walk) isOwnRoot() bool {
	return w.opts.Mounts != nil && w.owner.Mode&0o7777 == 0o755
}
