package tree

import (
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"strings"
	"time"
)

// Kind is the type of an entry.
type Kind uint8

// The kinds of entry a Linux file system has.
const (
	Regular Kind = iota + 1
	Directory
	Symlink
	CharDevice
	BlockDevice
	FIFO
	Socket
)

// String returns the kind in words, for messages.
func (k Kind) String() string {
	switch k {
	case Regular:
		return "regular file"
	case Directory:
		return "directory"
	case Symlink:
		return "symbolic link"
	case CharDevice:
		return "character device"
	case BlockDevice:
		return "block device"
	case FIFO:
		return "FIFO"
	case Socket:
		return "socket"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// An Entry is one name in a tree with its metadata. ModTime is not part of an
// entry's identity.
type Entry struct {
	Path   string // absolute in its root and clean: "/", "/etc/nginx"
	Kind   Kind
	Mode   uint32 // permission bits with setuid, setgid and sticky: at most 07777
	UID    uint32
	GID    uint32
	Size   int64             // bytes of a regular file
	Digest string            // "sha256:<hex>" of a regular file's content; empty if it was not read
	Target string            // of a symbolic link, not resolved
	Major  uint32            // of a device
	Minor  uint32            // of a device
	Xattrs map[string]string // by full name, security.capability among them; without the overlay's own
	Link   string            // the first path (in tree order) of the same inode, for that path itself too; empty unless hard linked

	ModTime time.Time
}

// CapabilityXattr names the extended attribute that holds file capabilities.
const CapabilityXattr = "security.capability"

// The fields in which two entries of one path can differ, in the order in
// which Diff returns them.
const (
	FieldContent    = "content"
	FieldType       = "type"
	FieldMode       = "mode"
	FieldOwner      = "owner"
	FieldXattr      = "xattr"
	FieldCapability = "capability"
	FieldTarget     = "target"
	FieldDevice     = "device"
)

// Same reports whether two entries have the same identity: their paths are
// equal and Diff finds no field that differs.
func (e Entry) Same(other Entry) bool {
	return e.Path == other.Path && len(e.Diff(other)) == 0
}

// Diff returns the names of the fields in which two entries differ, except their
// paths. ModTime and Link are not part of identity, because a copy-up of an
// unchanged file changes them.
//
// Content is equal only if that is known: a regular file of more than zero bytes
// without a digest differs from every other file. A caller that distinguishes unread
// from different content must check Digest first. If the types differ, content,
// target and device are not compared. Modes of symbolic links, which Linux does not
// use, are not compared.
func (e Entry) Diff(other Entry) []string {
	same := e.Kind == other.Kind
	var fields []string
	add := func(differs bool, field string) {
		if differs {
			fields = append(fields, field)
		}
	}
	add(same && e.Kind == Regular && !sameContent(e, other), FieldContent)
	add(!same, FieldType)
	add(e.Mode != other.Mode && e.Kind != Symlink && other.Kind != Symlink, FieldMode)
	add(e.UID != other.UID || e.GID != other.GID, FieldOwner)
	add(!sameXattrs(e.Xattrs, other.Xattrs), FieldXattr)
	add(!sameCapability(e.Xattrs, other.Xattrs), FieldCapability)
	add(same && e.Target != other.Target, FieldTarget)
	add(same && (e.Major != other.Major || e.Minor != other.Minor), FieldDevice)
	return fields
}

func sameContent(a, b Entry) bool {
	return a.Size == b.Size && (a.Size == 0 || a.Digest != "" && a.Digest == b.Digest)
}

func sameCapability(a, b map[string]string) bool {
	x, inA := a[CapabilityXattr]
	y, inB := b[CapabilityXattr]
	return inA == inB && x == y
}

// sameXattrs compares all extended attributes except file capabilities.
func sameXattrs(a, b map[string]string) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	others := func(m map[string]string) map[string]string {
		if _, ok := m[CapabilityXattr]; !ok {
			return m
		}
		m = maps.Clone(m)
		delete(m, CapabilityXattr)
		return m
	}
	return maps.Equal(others(a), others(b))
}

// Validate returns an error for an entry that no file system could have, or that has
// another canonical form, so that equal trees have equal encodings.
func (e *Entry) Validate() error {
	fault := e.fault()
	if fault == "" {
		return nil
	}
	return fmt.Errorf("entry %q: %s", e.Path, fault)
}

func (e *Entry) fault() string {
	device := e.Kind == CharDevice || e.Kind == BlockDevice
	switch {
	case !isCleanPath(e.Path):
		return "path is not absolute and clean"
	case e.Kind < Regular || e.Kind > Socket:
		return "no such " + e.Kind.String()
	case e.Path == "/" && e.Kind != Directory:
		return "the root is not a directory"
	case e.Mode > 0o7777:
		return fmt.Sprintf("mode %#o has bits that are not permissions", e.Mode)
	case e.Size < 0 || e.Size > 0 && e.Kind != Regular:
		return fmt.Sprintf("a %s of %d bytes", e.Kind, e.Size)
	case e.Digest != "" && (e.Kind != Regular || !isDigest(e.Digest)):
		return fmt.Sprintf("a %s with digest %q", e.Kind, e.Digest)
	case (e.Kind == Symlink) != (e.Target != "") || strings.Contains(e.Target, "\x00"):
		return fmt.Sprintf("a %s with target %q", e.Kind, e.Target)
	case !device && (e.Major != 0 || e.Minor != 0):
		return "a device number, but not a device"
	case e.Link != "" && (e.Kind == Directory || !isCleanPath(e.Link) || ComparePaths(e.Link, e.Path) > 0):
		return fmt.Sprintf("a %s hard linked to %q", e.Kind, e.Link)
	}
	for name := range e.Xattrs {
		if name == "" || strings.Contains(name, "\x00") {
			return fmt.Sprintf("extended attribute %q", name)
		}
	}
	return ""
}

// isCleanPath reports whether a path is absolute, has no empty, "." or ".."
// component, and could be passed to the kernel.
func isCleanPath(p string) bool {
	return strings.HasPrefix(p, "/") && path.Clean(p) == p && !strings.Contains(p, "\x00")
}

// DigestPrefix precedes the 64 hex digits of every Entry.Digest.
const DigestPrefix = "sha256:"

func isDigest(s string) bool {
	sum, ok := strings.CutPrefix(s, DigestPrefix)
	if !ok || len(sum) != 64 || strings.ToLower(sum) != sum {
		return false
	}
	_, err := hex.DecodeString(sum)
	return err == nil
}
