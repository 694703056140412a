package scan

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Digest is a SHA-256.
type Digest [32]byte

// String returns the digest in the form of tree.Entry.Digest.
func (d Digest) String() string {
	const prefix = "sha256:"
	var text [len(prefix) + 2*len(d)]byte
	hex.Encode(text[copy(text[:], prefix):], d[:])
	return string(text[:])
}

// A key is equal as long as an entry is unchanged: inode, size, mtime and ctime in
// seconds, the same in nanoseconds, mode, owner, group, device.
type key [keySize]byte

const (
	keySize  = 60
	inKeyIno = 0
	inKeyDev = 52
)

func keyOf(st *unix.Statx_t) (k key) {
	e := binary.LittleEndian
	e.PutUint64(k[inKeyIno:], st.Ino)
	e.PutUint64(k[8:], st.Size)
	e.PutUint64(k[16:], uint64(st.Mtime.Sec))
	e.PutUint64(k[24:], uint64(st.Ctime.Sec))
	e.PutUint32(k[32:], st.Mtime.Nsec)
	e.PutUint32(k[36:], st.Ctime.Nsec)
	e.PutUint32(k[40:], uint32(st.Mode))
	e.PutUint32(k[44:], st.Uid)
	e.PutUint32(k[48:], st.Gid)
	e.PutUint32(k[inKeyDev:], st.Dev_major)
	e.PutUint32(k[56:], st.Dev_minor)
	return k
}

// sameFile reports whether two keys are of one inode.
func (k *key) sameFile(o *key) bool {
	return bytes.Equal(k[:8], o[:8]) && bytes.Equal(k[inKeyDev:], o[inKeyDev:])
}

// A record is one name in a directory: a key, the fields at the offsets below, the
// name, a NUL byte, and the extra fields (see appendExtra).
type record []byte

const (
	inFlags  = keySize
	inClass  = 61
	inKind   = 62 // 0: the name exists and is skipped
	inExtra  = 64 // length of the extra fields
	inName   = 68 // length of the name
	inDigest = 70 // of a file's content, or of everything below a directory
	headSize = 102
)

const (
	dirty      = 1 << iota // may change without a new key; the next scan reads it again
	hasContent             // the digest is that of the file's content
)

// A block is the records of a directory, in the order of the names' bytes.
type block []byte

// next cuts off the first record.
func (b block) next() (record, block) {
	n := record(b).size()
	return record(b[:n:n]), b[n:]
}

func (b block) records() iter.Seq[record] {
	return func(yield func(record) bool) {
		for len(b) > 0 {
			var r record
			if r, b = b.next(); !yield(r) {
				return
			}
		}
	}
}

func (r record) kind() tree.Kind { return tree.Kind(r[inKind]) }
func (r record) class() Class    { return Class(r[inClass]) }
func (r record) digest() Digest  { return Digest(r[inDigest:headSize]) }
func (r record) fileSize() int64 { return int64(binary.LittleEndian.Uint64(r[8:])) }

func (r record) has(flag byte) bool  { return r[inFlags]&flag != 0 }
func (r record) setDigest(d *Digest) { copy(r[inDigest:], d[:]) }
func (r record) u32(at int) uint32   { return binary.LittleEndian.Uint32(r[at:]) }

// nameEnd returns the offset of the NUL byte after the name.
func (r record) nameEnd() int { return headSize + int(binary.LittleEndian.Uint16(r[inName:])) }

// size returns the size of the record in bytes.
func (r record) size() int { return r.nameEnd() + 1 + int(r.u32(inExtra)) }

func (r record) name() []byte  { return r[headSize:r.nameEnd()] }
func (r record) extra() []byte { return r[r.nameEnd()+1:] }

// terminated returns the name with its NUL byte.
func (r record) terminated() []byte { return r[headSize : r.nameEnd()+1] }

// An Entry is one name in a directory. Digest is the digest of a file's content, if it
// was read, or of everything in a directory.
type Entry struct {
	Name   string
	Kind   tree.Kind
	Class  Class
	Mode   uint32 // permission bits with setuid, setgid and sticky
	UID    uint32
	GID    uint32
	Size   int64 // of a regular file
	Digest string
	Target string // of a symbolic link
	Major  uint32 // of a device
	Minor  uint32
	Xattrs map[string]string
}

func (r record) entry() Entry {
	e := Entry{
		Name: string(r.name()), Kind: r.kind(), Class: r.class(),
		Mode: r.u32(40) & 0o7777, UID: r.u32(44), GID: r.u32(48),
	}
	if e.Kind == tree.Regular {
		e.Size = r.fileSize()
	}
	if e.Kind == tree.Directory || r.has(hasContent) {
		e.Digest = r.digest().String()
	}
	parts, _ := extraParts(r.extra())
	if len(parts) == 0 {
		return e
	}
	switch {
	case e.Kind == tree.Symlink:
		e.Target = parts[0]
	case len(parts[0]) == 8:
		e.Major, e.Minor = binary.LittleEndian.Uint32([]byte(parts[0])), binary.LittleEndian.Uint32([]byte(parts[0][4:]))
	}
	for pair := range slices.Chunk(parts[1:], 2) {
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		e.Xattrs[pair[0]] = pair[1]
	}
	return e
}

// The extra fields are strings, each after its length: the target of a symbolic link
// or the numbers of a device, then names and values of extended attributes.

func appendExtra(b []byte, own []byte, xattrs map[string]string) []byte {
	if len(own) == 0 && len(xattrs) == 0 {
		return b
	}
	b = appendString(b, own)
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		b = appendString(appendString(b, []byte(name)), []byte(xattrs[name]))
	}
	return b
}

func appendString(b, s []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

var errMalformed = errors.New("malformed")

// extraParts parses the extra fields: an odd number of strings, or none.
func extraParts(b []byte) ([]string, error) {
	var parts []string
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errMalformed
		}
		n := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return nil, errMalformed
		}
		parts = append(parts, string(b[:n]))
		b = b[n:]
	}
	if len(parts) > 0 && len(parts)%2 == 0 {
		return nil, errMalformed
	}
	return parts, nil
}
