package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// namesPerPart is small enough that a single large directory keeps all
// processors busy.
const namesPerPart = 512

// do lists a directory, or describes a part of one.
func (w *worker) do(ctx context.Context, t task) {
	defer w.finish(t.dir)
	fd, self, err := w.open(t.dir)
	if err != nil {
		w.fail(t.dir.path, err)
		t.dir.failed.Store(true)
		return
	}
	defer unix.Close(fd)
	if t.part == listNames {
		w.list(ctx, fd, t.dir, self)
	} else {
		w.look(ctx, place{fd, t.dir, &t.dir.parts[t.part]})
	}
}

// open opens a directory, which must still be the same inode on the same mount.
func (w *worker) open(d *reading) (int, key, error) {
	fd, err := w.root.OpenDeep(d.path)
	if err != nil {
		return -1, key{}, gone(err)
	}
	err = statAt(fd, noName, &w.st)
	self := keyOf(&w.st)
	if err == nil && (w.st.Mnt_id != w.mount || !self.sameFile(&d.key)) {
		err = fmt.Errorf("replaced: %w", tree.ErrChanged)
	}
	if err != nil {
		unix.Close(fd)
		return -1, self, err
	}
	return fd, self, nil
}

// list lists the names in a directory. It describes them itself if they are few, and
// pushes tasks for all workers otherwise.
func (w *worker) list(ctx context.Context, fd int, d *reading, self key) {
	var names [][]byte
	// An unchanged directory has the names of the cache: adding, removing or
	// renaming an entry changes its mtime and ctime.
	if d.same = d.old.listed && d.old.self == self; !d.same {
		var err error
		if names, self, err = w.names(fd, self); err != nil {
			w.fail(d.path, err)
			d.failed.Store(true)
			return
		}
	}
	if !d.same || !w.sameRules {
		d.treat = w.opts.Policy.In(d.path)
	}
	d.key = self
	d.parts = partsOf(names, d.old)
	if len(d.parts) == 1 {
		w.look(ctx, place{fd, d, &d.parts[0]})
		return
	}
	tasks := make([]task, len(d.parts))
	for i := range d.parts {
		tasks[i] = task{d, i}
	}
	d.pending.Add(int32(len(tasks)))
	w.todo.Push(tasks...)
}

// partsOf divides names, or those of the old records if there are none, into
// parts, each with the old records from its first name to that of the next part.
func partsOf(names [][]byte, old *Dir) []part {
	if names == nil {
		return divide(old, func(part, n int, _ record) bool { return n == part*namesPerPart })
	}
	chunks := slices.Collect(slices.Chunk(names, namesPerPart))
	parts := divide(old, func(part, _ int, r record) bool {
		return part < len(chunks) && bytes.Compare(r.terminated(), chunks[part][0]) >= 0
	})
	parts = append(parts, make([]part, max(0, len(chunks)-len(parts)))...)[:len(chunks)]
	for i := range parts {
		parts[i].names = chunks[i]
	}
	return parts
}

// divide cuts old records where the next part begins, of which it asks by the
// numbers of the part and of the record.
func divide(old *Dir, begins func(part, n int, r record) bool) []part {
	var parts []part
	c := cursor{rest: old.records, subs: old.subs}
	from := c
	cut := func() {
		parts = append(parts, part{
			old: from.rest[:len(from.rest)-len(c.rest)], oldSubs: from.subs[:len(from.subs)-len(c.subs)],
		})
		from = c
	}
	for n := 0; len(c.rest) > 0; n++ {
		for r, _ := c.rest.next(); begins(len(parts)+1, n, r); {
			cut()
		}
		c.next()
	}
	cut()
	return parts
}

// names lists a directory. It lists it again if it changed at the same time, because
// getdents(2) may then miss a name that existed all the time. The names are sorted,
// and each ends with a NUL byte.
func (w *worker) names(fd int, before key) ([][]byte, key, error) {
	for range 3 {
		names, err := w.listOnce(fd)
		if err != nil {
			return nil, before, gone(err)
		}
		if err := statAt(fd, noName, &w.st); err != nil {
			return nil, before, err
		}
		after := keyOf(&w.st)
		if after == before {
			slices.SortFunc(names, bytes.Compare)
			return names, after, nil
		}
		before = after
		if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
			return nil, before, err
		}
	}
	return nil, before, tree.ErrChanged
}

// listOnce reads the names of a directory once. It stops soon after the limit.
func (w *worker) listOnce(fd int) ([][]byte, error) {
	names := [][]byte{}
	for len(names) <= w.opts.MaxEntries {
		n, err := unix.Getdents(fd, w.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return names, err
		}
		names = appendNames(names, slices.Clone(w.buf[:n]))
	}
	return names, nil
}

// appendNames adds the names in a buffer of getdents64(2). The names share the
// buffer's memory.
func appendNames(names [][]byte, entries []byte) [][]byte {
	const inLength, inName = 16, 19
	for len(entries) > inName {
		n := int(binary.NativeEndian.Uint16(entries[inLength:]))
		name := entries[inName:n]
		name = name[:bytes.IndexByte(name, 0)+1]
		entries = entries[n:]
		if s := string(name[:len(name)-1]); s != "" && s != "." && s != ".." {
			names = append(names, name)
		}
	}
	return names
}
