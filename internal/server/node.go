package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/adamant-sh/adamant/internal/tree"
)

// A Node is one name in a directory, as servers are compared: by content, mode
// and owner, never by time.
type Node struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"` // as tree.Kind says it
	Mode   uint32            `json:"mode"`
	Owner  string            `json:"owner"` // by name where there is one: numbers differ between installations
	Group  string            `json:"group"`
	Size   int64             `json:"size,omitempty"`
	Digest string            `json:"digest,omitempty"` // of a file's content, or of all that lies below a directory
	Target string            `json:"target,omitempty"`
	Device string            `json:"device,omitempty"` // "major:minor"
	Xattrs map[string]string `json:"xattrs,omitempty"`
}

// nodeOf describes an entry; below is the digest of what a directory holds.
func nodeOf(e tree.Entry, name string, n names, below string) Node {
	node := Node{
		Name: name, Kind: e.Kind.String(), Mode: e.Mode, Owner: n.user(e.UID), Group: n.group(e.GID),
		Digest: e.Digest, Target: e.Target, Xattrs: e.Xattrs,
	}
	switch e.Kind {
	case tree.Regular:
		node.Size = e.Size
	case tree.Directory:
		node.Digest = below
	case tree.Symlink:
		node.Mode = 0 // Linux has none
	case tree.CharDevice, tree.BlockDevice:
		node.Device = fmt.Sprintf("%d:%d", e.Major, e.Minor)
	}
	return node
}

// own is what identifies a node itself, without what lies below it.
func (n Node) own() string {
	digest := n.Digest
	if n.isDir() {
		digest = ""
	}
	text := fmt.Sprintf("%s %04o %q %q %d %s %q %s", n.Kind, n.Mode, n.Owner, n.Group, n.Size, digest, n.Target, n.Device)
	for _, k := range slices.Sorted(maps.Keys(n.Xattrs)) {
		text += fmt.Sprintf(" %q=%q", k, n.Xattrs[k])
	}
	return text
}

func (n Node) isDir() bool { return n.Kind == tree.Directory.String() }

// digestOf is the digest of a directory's content: of its nodes, in the order of
// their names.
func digestOf(nodes []Node) string {
	h := sha256.New()
	for _, n := range nodes {
		fmt.Fprintf(h, "%q %s", n.Name, n.own())
		if n.isDir() {
			fmt.Fprintf(h, " %s", n.Digest)
		}
		fmt.Fprintln(h)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// fields names what two nodes differ in.
func (n Node) fields(o Node) []string {
	var list []string
	for _, f := range []struct {
		name    string
		differs bool
	}{
		{tree.FieldType, n.Kind != o.Kind},
		{tree.FieldContent, !n.isDir() && (n.Digest != o.Digest || n.Size != o.Size)},
		{tree.FieldTarget, n.Target != o.Target},
		{tree.FieldMode, n.Mode != o.Mode},
		{tree.FieldOwner, n.Owner != o.Owner || n.Group != o.Group},
		{tree.FieldDevice, n.Device != o.Device},
		{tree.FieldXattr, !maps.Equal(n.Xattrs, o.Xattrs)},
	} {
		if f.differs {
			list = append(list, f.name)
		}
	}
	return list
}
