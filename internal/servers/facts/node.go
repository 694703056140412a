package facts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/scan"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Node is an entry of a directory with the fields by which servers are compared:
// content, mode and owner, but not the time.
type Node struct {
	Name   string            `json:"name"`
	Kind   string            `json:"kind"` // as printed by tree.Kind
	Mode   uint32            `json:"mode"`
	Owner  string            `json:"owner"` // name, or number without one; numbers differ between installations
	Group  string            `json:"group"`
	Size   int64             `json:"size,omitempty"`
	Digest string            `json:"digest,omitempty"` // of a file's content, or of everything below a directory
	Target string            `json:"target,omitempty"`
	Device string            `json:"device,omitempty"` // "major:minor"
	Xattrs map[string]string `json:"xattrs,omitempty"`
}

// nodeOf returns the node of an entry.
func nodeOf(e scan.Entry, n names) Node {
	node := Node{
		Name: e.Name, Kind: e.Kind.String(), Mode: e.Mode, Owner: n.user(e.UID), Group: n.group(e.GID),
		Size: e.Size, Digest: e.Digest, Target: e.Target, Xattrs: e.Xattrs,
	}
	switch e.Kind {
	case tree.Symlink:
		node.Mode = 0 // Linux does not use it
	case tree.CharDevice, tree.BlockDevice:
		node.Device = fmt.Sprintf("%d:%d", e.Major, e.Minor)
	}
	return node
}

// digestVersion must change whenever appendLine does. It is part of the cache's policy,
// so that a cache with other digests is not used.
const digestVersion = 1

// Identity identifies a node itself, without the content of a directory.
func (n Node) Identity() string { return string(n.appendOwn(nil)) }

// Attributes returns the mode, owner and group in an Identity.
func Attributes(identity string) (mode uint32, owner, group string, err error) {
	// The name of a kind may have several words, and the mode comes before the first
	// quotation mark.
	before, _, _ := strings.Cut(identity, `"`)
	kind := strings.TrimSpace(before)
	at := strings.LastIndexByte(kind, ' ') + 1
	if _, err = fmt.Sscanf(identity[at:], "%o %q %q", &mode, &owner, &group); err != nil {
		err = fmt.Errorf("no mode and owner in %.80q: %w", identity, err)
	}
	return mode, owner, group, err
}

func (n Node) appendOwn(b []byte) []byte {
	b = append(append(b, n.Kind...), ' ')
	for _, shift := range []int{9, 6, 3, 0} {
		b = append(b, '0'+byte(n.Mode>>shift&7))
	}
	b = append(b, ' ')
	b = append(strconv.AppendQuote(b, n.Owner), ' ')
	b = append(strconv.AppendQuote(b, n.Group), ' ')
	b = append(strconv.AppendInt(b, n.Size, 10), ' ')
	if !n.IsDir() {
		b = append(b, n.Digest...)
	}
	b = append(strconv.AppendQuote(append(b, ' '), n.Target), ' ')
	b = append(b, n.Device...)
	for _, k := range slices.Sorted(maps.Keys(n.Xattrs)) {
		b = fmt.Appendf(b, " %q=%q", k, n.Xattrs[k])
	}
	return b
}

// appendLine appends a line that identifies a node with everything below it. The
// digest of a directory is that of its lines in the order of the names.
func (n Node) appendLine(b []byte) []byte {
	b = n.appendOwn(append(strconv.AppendQuote(b, n.Name), ' '))
	if n.IsDir() {
		b = append(append(b, ' '), n.Digest...)
	}
	return append(b, '\n')
}

// IsDir reports whether a node is a directory.
func (n Node) IsDir() bool { return n.Kind == tree.Directory.String() }

// Diff returns the names of the fields, as drift calls them, in which two nodes
// differ.
func (n Node) Diff(o Node) []string {
	var list []string
	for _, f := range []struct {
		name    string
		differs bool
	}{
		{tree.FieldType, n.Kind != o.Kind},
		{tree.FieldContent, !n.IsDir() && (n.Digest != o.Digest || n.Size != o.Size)},
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
