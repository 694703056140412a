package profile

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// maxWhy is the number of writes in Volume.Why.
const maxWhy = 3

// memory is the medium of a volume in memory in Kubernetes.
const memory = "Memory"

// furnish returns the volume of a mount, with the content that it must have
// before the program starts. It has neither a size limit nor a medium: how much
// a program writes in seconds is no evidence of how much it will ever write, and
// a volume in memory counts as memory of its container.
func (p *planner) furnish(m mount, writes []Write, needs []need, c Container) Volume {
	entries := p.rootfs.content(m.path)
	v := Volume{MountPath: m.path, CopyUp: entries > 0, Why: why(m, needs)}

	// Copying up the content of a directory also copies its mode and owner.
	switch owner, known := p.ownerOf(m, writes); {
	case m.kind == file:
		v.File, v.CopyUp, v.SubPath = true, true, path.Base(m.path)
		if known { // not of the image: it has to be made
			v.Mode, v.UID, v.GID = owner.Mode, owner.UID, owner.GID
		}
	case known && p.changesOwn(m, writes, c.Evidence):
		v.SubPath = path.Base(m.path)
		fallthrough
	// A directory with content gets its owner and mode by the copy-up. An empty
	// one is prepared only for them, which needs an init container, so only after
	// a proof without it has failed.
	case known && entries > 0 && matters(owner),
		known && entries == 0 && (c.Exact || wasDenied(m, c.Evidence) && !p.setsOwn(m, writes)):
		v.CopyUp = true
		v.Mode, v.UID, v.GID = owner.Mode, owner.UID, owner.GID
	}
	v.KeepOwners = v.CopyUp && p.keepsOwners(v, c)
	return v
}

// keepsOwners reports whether the content of a volume, or the directory itself,
// must belong to others than the container's user. Root's programs often give up
// their rights and continue as those others. Any other user can usually do without:
// what it could read is its own then, and only a failed proof shows that this does
// not work.
func (p *planner) keepsOwners(v Volume, c Container) bool {
	user := p.rootfs.User
	if user.UID != 0 && !c.Exact {
		return false
	}
	differs := func(uid, gid uint32) bool {
		return uid != user.UID || gid != user.GID && !slices.Contains(user.Groups, gid)
	}
	if v.Mode != 0 && differs(v.UID, v.GID) {
		return true
	}
	for e := range p.rootfs.Tree.Under(v.MountPath) {
		if !p.rootfs.onMount(e.Path) && differs(e.UID, e.GID) {
			return true
		}
	}
	return false
}

// wasDenied reports whether a call in a mount failed for lack of permission,
// which a directory's mode and owner decide.
func wasDenied(m mount, evidence []Failure) bool {
	return slices.ContainsFunc(evidence, func(f Failure) bool {
		return within(f.Path, m.path) && (f.Errno == "EACCES" || f.Errno == "EPERM")
	})
}

// ownerOf returns the owner of the directory at a mount: the image's or, if the
// program created it, the program's. For a file it is known only if the program
// created the file.
func (p *planner) ownerOf(m mount, writes []Write) (Owner, bool) {
	if e, ok := p.rootfs.Tree.Lookup(m.path); ok {
		return Owner{Mode: Mode(e.Mode), UID: e.UID, GID: e.GID}, m.kind == imageDir
	}
	for _, w := range writes {
		switch {
		case w.Path != m.path:
		case w.Made != nil:
			return *w.Made, true
		case m.kind == file:
			return p.maker(w, 0o644), true
		case len(w.UIDs) > 0:
			return p.maker(w, 0o755), true
		}
	}
	return Owner{}, false
}

// maker returns the likely owner of a created entry.
func (p *planner) maker(w Write, mode Mode) Owner {
	o := Owner{Mode: mode}
	if len(w.UIDs) > 0 {
		o.UID = w.UIDs[len(w.UIDs)-1]
	}
	if o.UID == p.rootfs.User.UID {
		o.GID = p.rootfs.User.GID
	}
	return o
}

// matters reports whether a program could fail, or be less secure, with the
// owner and mode that a kubelet gives the directory, because its own owner is a
// service user (postgres refuses a data directory of another user), it is
// private, or it has a special bit. A change from root's 0755 to 0777, or from its
// 1777 of a directory for temporary files, counts as harmless until a proof
// fails.
func matters(o Owner) bool {
	if o == (Owner{Mode: 0o1777}) {
		return false
	}
	return o.UID != 0 || o.GID != 0 || o.Mode&0o7000 != 0 || o.Mode&0o555 != 0o555
}

// changesOwn reports whether a user other than root sets the mode or owner of
// the mounted directory itself. The root of a volume belongs to root, so that
// fails there (EPERM), but it works on a subdirectory of the volume.
func (p *planner) changesOwn(m mount, writes []Write, evidence []Failure) bool {
	for _, w := range writes {
		if w.Path == m.path && len(w.UIDs) > 0 && slices.ContainsFunc(slices.Collect(maps.Keys(w.Ops)), isAttribute) {
			return true
		}
	}
	return slices.ContainsFunc(evidence, func(f Failure) bool {
		return f.Path == m.path && isAttribute(f.Op) && (f.Errno == "EPERM" || f.Errno == "EACCES")
	})
}

// setsOwn reports whether root sets the mode or owner of a directory that the
// program created. It will do so again on the volume.
func (p *planner) setsOwn(m mount, writes []Write) bool {
	return m.kind == madeDir && slices.ContainsFunc(writes, func(w Write) bool {
		return w.Path == m.path && len(w.UIDs) == 0 && slices.ContainsFunc(slices.Collect(maps.Keys(w.Ops)), ownership)
	})
}

// why returns the first few writes that need a mount.
func why(m mount, needs []need) []string {
	var out []string
	for _, n := range needs {
		if !m.holds(n) {
			continue
		}
		if len(out) == maxWhy {
			break
		}
		if line := n.write.String(); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// String returns a write in one line: "create, unlink /run/nginx.pid by nginx".
func (w Write) String() string {
	ops := make([]string, 0, len(w.Ops))
	for op := range w.Ops {
		ops = append(ops, string(op))
	}
	slices.Sort(ops)
	line := strings.Join(ops, ", ") + " " + w.Path
	if len(w.By) > 0 {
		line += " by " + path.Base(w.By[0])
	}
	return line
}
