// Package tree describes file systems: every entry of a tree with what
// identifies it, a canonical encoding of it, and access to a foreign root that
// no link, mount or race can lead out of.
//
// It knows nothing of images, overlays or drift.
package tree

import "time"

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

// An Entry is one name in a tree with what identifies it. ModTime is carried
// but is never part of an entry's identity.
type Entry struct {
	Path   string // absolute in its root and clean: "/", "/etc/nginx"
	Kind   Kind
	Mode   uint32 // permission bits with setuid, setgid and sticky: at most 07777
	UID    uint32
	GID    uint32
	Size   int64             // bytes of a regular file
	Digest string            // "sha256:<hex>" of a regular file's content; empty if it was not read
	Target string            // of a symbolic link, as it is stored
	Major  uint32            // of a device
	Minor  uint32            // of a device
	Xattrs map[string]string // by full name, security.capability among them; without the overlay's own
	Link   string            // the first path (in tree order) of the same inode; empty unless hard linked

	ModTime time.Time
}
