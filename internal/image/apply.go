package image

import (
	"context"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
)

// An applier unpacks one layer as containerd's archive package does, in memory.
// Snapshotters differ in where a layer is unpacked to and in how whiteouts are
// handled:
//
//   - for overlayfs, into an empty directory, in which a whiteout becomes a device
//     0:0 and an opaque marker an attribute;
//   - otherwise onto a copy of the layers below, from which both delete files.
//
// In the first case only symbolic links of the same layer are followed, and a hard link
// can only refer to a file of the same layer.
type applier struct {
	index   int
	root    *node
	below   []*node // directories of the layers below, topmost first; only for overlayfs
	overlay bool
	seen    map[string]bool // paths this layer unpacked, for opaque markers that delete
	dirs    []string        // names of the directories of this layer
	report  func(path, problem string)
	work    *work
}

func (a *applier) applyAll(records []record) error {
	for i := range records {
		err := a.apply(&records[i])
		if err == nil {
			err = a.work.err()
		}
		if err != nil {
			return fmt.Errorf("entry %q: %w", records[i].name, err)
		}
	}
	return a.finish()
}

func (a *applier) apply(rec *record) error {
	dirName, base := path.Split(rec.name)
	dirName, err := a.root.follow(dirName, a.work)
	if err != nil {
		return err
	}
	name := path.Join(dirName, base)
	if len(name) > maxPath {
		return &LimitError{Limit: "bytes of a path", Value: maxPath}
	}
	if name == "/" { // the root directory is the runtime's own
		return nil
	}
	if name != rec.name {
		// The layer writes outside of the path that its entry names.
		a.finding(rec.name, "is unpacked as "+name+", through a symbolic link")
	}
	dir, err := a.makeDirs(dirName)
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return a.whiteout(rec, dir, dirName, base)
	}
	// A directory over a directory keeps its content, everything else is replaced.
	old := dir.children[base]
	if old != nil && (!old.isDir() || rec.hard || rec.kind != tree.Directory) {
		delete(dir.children, base)
		old = nil
	}
	made := old
	switch {
	case rec.hard:
		if made, err = a.hardLink(rec); err != nil {
			return err
		}
	case made == nil:
		made = a.newNode(rec)
	}
	dir.children[base] = made
	made.setAttributes(rec)
	for _, xattr := range rec.ignored {
		a.finding(rec.name, "extended attribute "+xattr+" is not set by a runtime")
	}
	if a.seen != nil {
		a.seen[name] = true
	}
	if rec.kind == tree.Directory {
		a.dirs = append(a.dirs, rec.name)
	}
	if a.overlay && made.isWhiteout() {
		a.finding(rec.name, "is a device 0:0, which deletes the file below")
	}
	return nil
}

// finding reports a finding. The last one says that there are more.
func (a *applier) finding(name, problem string) {
	switch a.work.findings++; {
	case a.work.findings < maxFindings:
		a.report(name, problem)
	case a.work.findings == maxFindings:
		a.report(name, problem+", and there are more findings, which are not listed")
	}
}

// finish does the last step of containerd, which sets the times of directories. It
// fails if the layer itself replaced one of them by another kind of file.
func (a *applier) finish() error {
	for _, name := range a.dirs {
		canonical, err := a.root.follow(name, a.work)
		if err == nil && a.root.lookup(canonical) == nil {
			err = fmt.Errorf("a directory that is gone at the end of its layer: %w", ErrHostile)
		}
		if err != nil {
			return fmt.Errorf("entry %q: %w", name, err)
		}
	}
	return nil
}

func (a *applier) newNode(rec *record) *node {
	n := &node{inode: &inode{
		kind: rec.kind, size: rec.size, digest: rec.digest, major: rec.major, minor: rec.minor,
		origin: origin{layer: a.index, ordinal: rec.ordinal},
	}}
	switch rec.kind {
	case tree.Directory:
		n.children = map[string]*node{}
	case tree.Symlink:
		n.target = rec.link
	}
	return n
}

// setAttributes sets the metadata of an entry on its node. The entry of a hard link
// thus changes all names of the file. The entry of a directory that exists changes that
// directory, which keeps its extended attributes.
func (n *node) setAttributes(rec *record) {
	n.uid, n.gid, n.modTime = rec.uid, rec.gid, rec.modTime
	if n.mode = rec.mode; n.kind == tree.Symlink {
		n.mode = 0o777 // Linux ignores the mode of a symbolic link
	}
	if !n.isDir() {
		delete(n.xattrs, tree.CapabilityXattr) // chown(2) removes it, even if the owner does not change
	}
	for name, value := range rec.xattrs {
		if strings.HasPrefix(name, "user.") && n.kind != tree.Regular && !n.isDir() {
			continue // through a hard link; other kinds of file have no user attributes, see xattr(7)
		}
		if n.xattrs == nil {
			n.xattrs = map[string]string{}
		}
		n.xattrs[name] = value
	}
}

// hardLink returns a new name for the file that an entry links to. It does not follow a
// symbolic link in the last component, as link(2).
func (a *applier) hardLink(rec *record) (*node, error) {
	dirName, base := path.Split(rec.link)
	dirName, err := a.root.follow(dirName, a.work)
	if err != nil {
		return nil, fmt.Errorf("hard link: %w", err)
	}
	target := a.root.lookup(path.Join(dirName, base))
	switch {
	case target == nil:
		return nil, fmt.Errorf("hard link to %q, which does not exist: %w", rec.link, ErrHostile)
	case target.isDir():
		return nil, fmt.Errorf("hard link to %q, which is a directory: %w", rec.link, ErrHostile)
	}
	target.linked = true
	return &node{inode: target.inode}, nil
}

// makeDirs returns the directory at a canonical path. It creates the directory and its
// parents if they do not exist.
func (a *applier) makeDirs(name string) (*node, error) {
	at := a.root
	for i := 1; i < len(name); {
		end := strings.IndexByte(name[i:], '/')
		if end < 0 {
			end = len(name) - i
		}
		next := at.children[name[i:i+end]]
		if next == nil {
			var err error
			if next, err = a.impliedDir(name[:i+end]); err != nil {
				return nil, err
			}
			at.children[name[i:i+end]] = next
		}
		if !next.isDir() {
			return nil, fmt.Errorf("%s: %w: %w", name[:i+end], errNotDir, ErrHostile)
		}
		at, i = next, i+end+1
	}
	return at, nil
}

// impliedDir creates a directory that has no entry of its own. It takes the attributes
// of a directory in the layers below. A file in the layers below is replaced by the
// directory, but containerd refuses a second implied directory inside it.
func (a *applier) impliedDir(name string) (*node, error) {
	if err := a.work.use.addEntry(len(name)); err != nil {
		return nil, err
	}
	dir := newDir()
	for _, below := range a.below {
		if err := a.work.err(); err != nil {
			return nil, err
		}
		canonical, err := below.follow(name, a.work)
		if err != nil {
			return nil, fmt.Errorf("directory %s in a layer below: %w", name, err)
		}
		old := below.lookup(canonical)
		if old == nil {
			continue
		}
		if old.isDir() {
			*dir.inode = *old.inode
			dir.xattrs = maps.Clone(old.xattrs)
		}
		break
	}
	a.reportReplaced(name)
	return dir, nil
}

// reportReplaced adds a finding if an implied directory replaces another kind of file.
// If layers are copied, the files would be written through a symbolic link.
func (a *applier) reportReplaced(name string) {
	for _, below := range a.below {
		old := below.lookup(name)
		if old == nil {
			continue
		}
		if !old.isDir() && !old.isWhiteout() {
			a.finding(name, "is a "+old.kind.String()+" in a layer below and becomes a directory, because this layer has files in it")
		}
		return
	}
}

// whiteout applies a marker that deletes files of the layers below.
func (a *applier) whiteout(rec *record, dir *node, dirName, base string) error {
	if base == opaqueMarker {
		// Only the first marker of a directory deletes.
		if !a.overlay && !a.seen[path.Join(dirName, base)] {
			a.seen[path.Join(dirName, base)] = true
			a.deleteUnseen(dir, dirName)
		}
		dir.opaque = a.overlay
		return nil
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	switch {
	case hidden == "" || hidden == "." || hidden == "..":
		return fmt.Errorf("a whiteout of nothing: %w", ErrHostile)
	case !a.overlay:
		delete(dir.children, hidden)
		return nil
	// In an upper directory the device 0:0 and the file would have the same name.
	case dir.children[hidden] != nil:
		return fmt.Errorf("a whiteout of a file that the same layer has: %w", ErrHostile)
	}
	dir.children[hidden] = &node{inode: &inode{kind: tree.CharDevice, uid: rec.uid, gid: rec.gid}}
	return nil
}

// deleteUnseen deletes the entries of a directory that this layer did not unpack.
func (a *applier) deleteUnseen(dir *node, dirName string) {
	for base, child := range dir.children {
		name := path.Join(dirName, base)
		if !a.seen[name] {
			delete(dir.children, base)
		} else if child.isDir() {
			a.deleteUnseen(child, name)
		}
	}
}

// work bounds what applying the layers of an image costs.
type work struct {
	ctx      context.Context // checked in loops that do nothing else with it
	use      *usage
	steps    int64 // components of paths that were looked up
	findings int
}

// step counts components of a path.
func (w *work) step(n int) { w.steps += int64(n) }

// err returns why applying must end.
func (w *work) err() error {
	if w.steps > maxSteps {
		return &LimitError{Limit: "components of paths", Value: maxSteps}
	}
	return w.ctx.Err()
}
