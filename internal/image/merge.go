package image

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A merger collects the entries of stacked directories, in tree order.
type merger struct {
	overlay bool // a device 0:0 is a whiteout
	isLayer bool // the entries are those of a layer, with overlayfs's own attributes
	entries []tree.Entry
	inodes  []*inode // of the entries
	names   int      // bytes of their paths
}

// merge adds the merged directory of layers, topmost first, as overlayfs does: an entry
// hides those below it, only directories are merged, and a whiteout or an opaque
// directory ends the search. A merged directory has the attributes of the topmost one.
func (m *merger) merge(ctx context.Context, name string, layers []*node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.add(name, layers[0])
	names := map[string]bool{}
	for _, layer := range layers {
		for base := range layer.children {
			names[base] = true
		}
	}
	for _, base := range slices.Sorted(maps.Keys(names)) {
		found := m.visible(layers, base)
		if len(found) == 0 {
			continue
		}
		child := path.Join(name, base)
		if m.names += len(child); m.names > maxMetadata {
			return &LimitError{Limit: "bytes of names and attributes", Value: maxMetadata}
		}
		if !found[0].isDir() {
			m.add(child, found[0])
		} else if err := m.merge(ctx, child, found); err != nil {
			return err
		}
	}
	return nil
}

// visible returns the visible node at a name, or the directories that are merged there.
func (m *merger) visible(layers []*node, base string) []*node {
	var found []*node
	for _, layer := range layers {
		child := layer.children[base]
		switch {
		case child == nil:
			continue
		case !child.isDir():
			if len(found) == 0 && !(m.overlay && child.isWhiteout()) {
				found = append(found, child)
			}
			return found
		}
		if found = append(found, child); child.opaque {
			return found
		}
	}
	return found
}

func (m *merger) add(name string, n *node) {
	e := tree.Entry{
		Path: name, Kind: n.kind, Mode: n.mode, UID: n.uid, GID: n.gid, Size: n.size, Digest: n.digest,
		Target: n.target, Major: n.major, Minor: n.minor, ModTime: n.modTime,
	}
	if len(n.xattrs) > 0 {
		e.Xattrs = n.xattrs
	}
	if m.isLayer {
		e.Xattrs = layerXattrs(n)
	}
	m.entries = append(m.entries, e)
	m.inodes = append(m.inodes, n.inode)
}

// nameLinks sets Link on the entries of which at least two share an inode.
func (m *merger) nameLinks() {
	first := map[*inode]int{}
	for i, inode := range m.inodes {
		if !inode.linked {
			continue
		}
		k, seen := first[inode]
		if !seen {
			first[inode] = i
			continue
		}
		m.entries[k].Link, m.entries[i].Link = m.entries[k].Path, m.entries[k].Path
	}
}
