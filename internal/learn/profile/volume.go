package profile

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

const (
	mebi = 1 << 20
	gibi = 1 << 30

	headRoom  = 4          // a volume may grow to this many times the observed size
	leastMem  = 16 * mebi  // no memory volume is limited to less
	leastDisk = 256 * mebi // no other volume is: a kubelet evicts a pod that exceeds it, and a learning run is short
	maxMem    = mebi       // largest observed size of a volume in memory

	maxWhy = 3
)

// memory is the medium of a volume in memory in Kubernetes.
const memory = "Memory"

// The modes of an emptyDir's root directory as a kubelet creates it.
const (
	diskMode   = 0o777
	memoryMode = 0o1777 // tmpfs's own, which a kubelet leaves as it is
)

// furnish returns the volume of a mount, with its size, its medium, and the
// content that it must have before the program starts.
func (p *planner) furnish(m mount, writes []Write, needs []need, c Container) Volume {
	entries, bytes := p.rootfs.content(m.path)
	v := Volume{MountPath: m.path, CopyUp: entries > 0}
	for i := range writes {
		if within(writes[i].Path, m.path) {
			bytes += writes[i].Bytes
		}
	}
	v.Why = why(m, needs)
	v.Medium = medium(m, bytes, writes, c.Evidence)
	v.SizeLimit = sizeLimit(bytes, v.Medium, shortages(m, c.Evidence))

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
	// one is copied up only for them, unless the program sets them itself.
	case known && (c.Exact && entries == 0 || (matters(owner, v.Medium) || isLeftEmpty(m, writes)) && !p.setsOwn(m, writes)):
		v.CopyUp = true
		v.Mode, v.UID, v.GID = owner.Mode, owner.UID, owner.GID
	}
	return v
}

// ownerOf returns the owner of the directory at a mount: the image's or, if the
// program created it, the program's. For a file it is known only if the program
// created the file.
func (p *planner) ownerOf(m mount, writes []Write) (Owner, bool) {
	if e, ok := p.rootfs.Tree.Lookup(m.path); ok {
		return Owner{Mode: e.Mode, UID: e.UID, GID: e.GID}, m.kind == imageDir
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
func (p *planner) maker(w Write, mode uint32) Owner {
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
// private, or it has a special bit. A change from root's 0755 to 0777 counts as
// harmless until a proof fails.
func matters(o Owner, medium string) bool {
	if medium == memory && o == (Owner{Mode: memoryMode}) {
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

// isLeftEmpty reports whether the program created a directory and nothing in
// it. Such a directory is used for its own properties (sshd's and vsftpd's for
// privilege separation), so its mode counts.
func isLeftEmpty(m mount, writes []Write) bool {
	return m.kind == madeDir && !slices.ContainsFunc(writes, func(w Write) bool {
		return w.Path != m.path && within(w.Path, m.path)
	})
}

// medium returns "Memory" for small directories that a reboot empties anyway:
// process numbers, locks and sockets. It returns "" if a program used a feature
// that a file system in memory may lack, or failed because of one.
func medium(m mount, bytes int64, writes []Write, evidence []Failure) string {
	if !isRuntime(m.path) || bytes > maxMem || m.kind == file {
		return ""
	}
	for _, w := range writes {
		if within(w.Path, m.path) && w.Ops[trace.Xattr] > 0 {
			return ""
		}
	}
	for _, f := range evidence {
		if within(f.Path, m.path) && needsDisk[f.Errno] {
			return ""
		}
	}
	return memory
}

// sizeLimit returns a Kubernetes quantity: the observed bytes with head room,
// rounded up to a power of two, and quadrupled for each proof in which it was
// too small.
func sizeLimit(bytes int64, medium string, shortages int) string {
	least := int64(leastDisk)
	if medium == memory {
		least = leastMem
	}
	limit := least
	for limit/headRoom < bytes && limit < 1<<60 {
		limit *= 2
	}
	limit <<= min(2*shortages, 20)
	if limit >= gibi {
		return fmt.Sprintf("%dGi", limit/gibi)
	}
	return fmt.Sprintf("%dMi", limit/mebi)
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
