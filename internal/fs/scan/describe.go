package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// describe returns the record of a name, which is valid until the next call. After an
// error, and for an entry that is skipped, the record contains only the name.
func (w *worker) describe(ctx context.Context, here place, name []byte) (record, error) {
	w.start(name)
	t := w.treatment(here.dir, string(name[:len(name)-1]))
	if t.Skip {
		return w.scratch, nil
	}
	fd, err := openAt(here.fd, name, unix.O_PATH|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) && w.isUnmodified(here) {
		return w.scratch, nil // overlayfs lists a whiteout without a file below it
	}
	if err != nil {
		return w.scratch, gone(err)
	}
	defer unix.Close(fd)
	if err := statAt(fd, noName, &w.st); err != nil {
		return w.scratch, err
	}
	if w.st.Mnt_id != w.mount {
		return w.scratch, nil
	}
	kind := rootfs.KindOf(w.st.Mode)
	w.scratch[inKind], w.scratch[inClass] = byte(kind), byte(t.Class)
	if kind == tree.Regular && t.Content {
		err = w.content(ctx, fd)
	} else {
		err = w.attributes(fd, kind, t)
	}
	if err != nil {
		w.start(name)
	}
	return w.scratch, err
}

// start begins a record that contains only a name.
func (w *worker) start(name []byte) {
	var head [headSize]byte
	binary.LittleEndian.PutUint16(head[inName:], uint16(len(name)-1))
	w.scratch = append(append(w.scratch[:0], head[:]...), name...)
}

// complete adds the result of statx(2) and the extra fields to a record.
func (w *worker) complete(own []byte, xattrs map[string]string) {
	k := keyOf(&w.st)
	copy(w.scratch, k[:])
	// The entry is racily clean, as in git's index: within one tick of the kernel's
	// clock it can change again and keep this ctime.
	if !k.before(w.begun) {
		w.scratch[inFlags] |= dirty
	}
	head := len(w.scratch)
	w.scratch = appendExtra(w.scratch, own, xattrs)
	binary.LittleEndian.PutUint32(w.scratch[inExtra:], uint32(len(w.scratch)-head))
}

// before reports whether the ctime is before a time.
func (k *key) before(t unix.Timespec) bool {
	sec, nsec := int64(binary.LittleEndian.Uint64(k[24:])), int64(binary.LittleEndian.Uint32(k[36:]))
	return sec < t.Sec || sec == t.Sec && nsec < t.Nsec
}

// attributes adds the fields that statx(2) does not return. An entry that is not
// compared needs no extended attributes.
func (w *worker) attributes(fd int, kind tree.Kind, t Treatment) (err error) {
	var own []byte
	var attrs map[string]string
	switch kind {
	case tree.CharDevice, tree.BlockDevice:
		own = binary.LittleEndian.AppendUint32(own, w.st.Rdev_major)
		own = binary.LittleEndian.AppendUint32(own, w.st.Rdev_minor)
	case tree.Symlink:
		n, err := unix.Readlinkat(fd, "", w.buf) // at most 4095 bytes
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		own = w.buf[:n]
	}
	if t.Class == Compared {
		if attrs, err = rootfs.Xattrs(fd); err != nil {
			return fmt.Errorf("read extended attributes: %w", err)
		}
	}
	w.complete(own, attrs)
	return nil
}

// isUnmodified reports whether a directory has not changed since it was listed.
func (w *worker) isUnmodified(here place) bool {
	err := statAt(here.fd, noName, &w.st)
	return err == nil && keyOf(&w.st) == here.dir.key
}
