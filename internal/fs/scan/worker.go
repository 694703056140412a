package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A worker describes entries, one after the other. It has two descriptors open
// beside that of the directory.
type worker struct {
	*scanner
	st      unix.Statx_t
	buf     []byte
	hash    hash.Hash
	scratch record
	text    []byte
	number  []byte

	counts   [256]int
	named    []File
	unknowns []tree.Unknown
	anew     int
	read     int64 // bytes
}

func newWorker(s *scanner) *worker {
	return &worker{scanner: s, buf: make([]byte, bufferSize), hash: sha256.New()}
}

func (w *worker) fail(path string, err error) {
	w.unknowns = append(w.unknowns, tree.Unknown{Path: path, Err: err})
}

// A known is a record of the cache.
type known struct {
	record
	at  int  // in the block that it is from
	dir *Dir // if it is one
}

// A cursor iterates over records of the cache in step with sorted names.
type cursor struct {
	rest block
	at   int
	subs []*Dir
}

// next takes the next record.
func (c *cursor) next() known {
	k := known{at: c.at}
	k.record, c.rest = c.rest.next()
	c.at += len(k.record)
	if k.kind() == tree.Directory {
		k.dir, c.subs = c.subs[0], c.subs[1:]
	}
	return k
}

// seek skips to a name, which ends with a NUL byte, and takes its record if there is
// one.
func (c *cursor) seek(name []byte) known {
	for len(c.rest) > 0 {
		first, _ := c.rest.next()
		order := bytes.Compare(first.terminated(), name)
		if order > 0 {
			break
		}
		if k := c.next(); order == 0 {
			return k
		}
	}
	return known{}
}

// A place is the directory and part of an entry.
type place struct {
	fd   int
	dir  *reading
	part *part
}

// look describes the names of a part.
func (w *worker) look(ctx context.Context, here place) {
	p := here.part
	p.found.old = p.old
	old := cursor{rest: p.old, subs: p.oldSubs}
	if p.names == nil {
		n := 0
		for ; len(old.rest) > 0 && ctx.Err() == nil; n++ {
			k := old.next()
			w.entry(ctx, here, k.terminated(), k)
		}
		w.count(n)
		return
	}
	w.count(len(p.names))
	for _, name := range p.names {
		if ctx.Err() != nil {
			return
		}
		w.entry(ctx, here, name, old.seek(name))
	}
}

// entry keeps the record of an unchanged name, and creates a new record otherwise.
func (w *worker) entry(ctx context.Context, here place, name []byte, old known) {
	if w.isSame(here, name, old) {
		here.part.found.keep(old.at, old.record)
		w.took(here, old.record, old.dir)
		return
	}
	r, err := w.describe(ctx, here, name)
	if err != nil {
		w.fail(here.dir.below(name), err)
	}
	here.part.found.add(r)
	if r.kind() != 0 {
		w.anew++
		w.took(here, r, old.dir)
	}
}

// isSame reports whether an entry is unchanged since the cache was written, and is
// treated in the same way.
func (w *worker) isSame(here place, name []byte, old known) bool {
	if old.record == nil || old.kind() == 0 || old.has(dirty) {
		return false
	}
	if err := statAt(here.fd, name, &w.st); err != nil || w.st.Mnt_id != w.mount {
		return false
	}
	// A program can reset mtime, but not ctime, which is part of the key.
	if found := keyOf(&w.st); string(found[:]) != string(old.record[:keySize]) {
		return false
	}
	if w.sameRules {
		return true
	}
	// With other rules the record can still be used, unless the rules now need
	// content that was not read.
	t := w.treatment(here.dir, string(old.name()))
	return !t.Skip && t.Class == old.class() && (!t.Content || old.kind() != tree.Regular || old.has(hasContent))
}

// treatment returns how a name is treated. The policy is asked for the directory
// only now: most directories are unchanged and never need it.
func (w *worker) treatment(d *reading, name string) Treatment {
	if d.treat == nil {
		return w.opts.Policy.In(d.path)(name)
	}
	return d.treat(name)
}

// took counts an entry. It pushes a task if the entry is a directory.
func (w *worker) took(here place, r record, old *Dir) {
	w.counts[r.class()]++
	switch {
	case r.kind() == tree.Directory:
		if old == nil {
			old = w.nothing
		}
		sub := &reading{parent: here.dir, path: here.dir.below(r.terminated()), key: key(r[:keySize]), old: old}
		sub.pending.Store(1)
		here.dir.pending.Add(1)
		here.part.subs = append(here.part.subs, sub)
		w.todo.Push(task{sub, listNames})
	case r.class() != Compared && r.has(hasContent):
		w.named = append(w.named, File{here.dir.below(r.terminated()), r.fileSize(), r.digest().String()})
	}
}

// below returns the path of a name, which ends with a NUL byte, in a directory.
func (d *reading) below(name []byte) string {
	dir := d.path
	if dir != "/" {
		dir += "/"
	}
	return dir + string(name[:len(name)-1])
}
