package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A listing reads the names in a directory one after the other. Memory does not grow
// with the directory, and the listing can be continued at an offset.
type listing struct {
	fd     int
	offset int64              // of the entry after the last one that was returned
	kind   byte               // d_type of the last entry
	buf    *[listingSize]byte // of the kernel's entries
	rest   []byte             // of buf
}

// listings are buffers.
var listings = sync.Pool{New: func() any { return new([listingSize]byte) }}

// listingSize is the size of the buffer in bytes.
const listingSize = 8 << 10

// The fields of struct linux_dirent64, see getdents(2), by their offsets.
const (
	direntNext   = 8
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// next returns the next name, or an empty one at the end.
func (l *listing) next() (string, error) {
	for {
		if len(l.rest) == 0 {
			if err := l.fill(); err != nil || len(l.rest) == 0 {
				return "", err
			}
		}
		entry := l.rest
		size := int(binary.NativeEndian.Uint16(entry[direntLength:]))
		if size < direntName || size > len(entry) {
			return "", fmt.Errorf("read directory: %w", unix.EIO)
		}
		entry, l.rest = entry[:size], entry[size:]
		l.offset = int64(binary.NativeEndian.Uint64(entry[direntNext:]))
		l.kind = entry[direntType]
		name := entry[direntName:]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		// The kernel lists no empty name; one would end the listing.
		if s := string(name); s != "." && s != ".." && s != "" {
			return s, nil
		}
	}
}

func (l *listing) fill() error {
	if l.buf == nil {
		l.buf = new([listingSize]byte)
	}
	for {
		n, err := unix.Getdents(l.fd, l.buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		l.rest = l.buf[:n]
		return nil
	}
}
