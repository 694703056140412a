package scan

import (
	"slices"
	"sync/atomic"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Dir contains the entries of a directory. If nothing changed, it is the Dir of the
// cache itself.
type Dir struct {
	self    key  // of the directory when it was listed
	listed  bool // as long as the directory has this key, it has these names
	digest  Digest
	records block
	subs    []*Dir // of the records that are directories, in their order
}

// A task is a directory to list, or a part of one to describe.
type task struct {
	dir  *reading
	part int // index, or listNames
}

const listNames = -1

// A reading is a directory that is being read into a Dir.
type reading struct {
	parent  *reading
	path    string
	key     key  // of the directory; once it is listed, as it was then
	old     *Dir // as the cache has it; scanner.nothing if it has not
	same    bool // it has the same names as old
	failed  atomic.Bool
	parts   []part                      // in the order of the names
	pending atomic.Int32                // parts and directories below that are not finished; one more until it is listed
	treat   func(name string) Treatment // nil: ask the policy
	dir     *Dir
}

// A part is a run of names that one worker describes.
type part struct {
	names   [][]byte // with the NUL byte; nil: those of old
	old     block    // the records that may be of these names
	oldSubs []*Dir
	found   builder
	subs    []*reading
}

// A builder builds a block of records, most of which are those of an old block. It
// copies nothing as long as all of them are.
type builder struct {
	old      block
	kept     int // bytes of old that were taken over, from its beginning
	own      block
	diverged bool
}

// keep adds the record at an offset in old.
func (b *builder) keep(at int, r record) {
	if !b.diverged && at == b.kept {
		b.kept += len(r)
		return
	}
	b.add(r)
}

func (b *builder) add(r record) {
	if !b.diverged {
		b.diverged = true
		b.own = append(make(block, 0, max(len(b.old), 4*len(r))), b.old[:b.kept]...)
	}
	b.own = append(b.own, r...)
}

// isSame reports whether the records are exactly the old ones.
func (b *builder) isSame() bool { return !b.diverged && b.kept == len(b.old) }

func (b *builder) records() block {
	if b.diverged {
		return b.own
	}
	return b.old[:b.kept]
}

// finish records that one part or subdirectory of a directory is done. The last one
// creates the Dir, and finishes the directory above.
func (w *worker) finish(d *reading) {
	for d != nil && d.pending.Add(-1) == 0 {
		w.seal(d)
		d = d.parent
	}
}

// seal sets the Dir of a reading, which is the old one if nothing is different.
func (w *worker) seal(d *reading) {
	records, same := d.records()
	subs, sameSubs := d.subs()
	if records, patched := patch(records, subs, same); same && !patched && sameSubs && d.same && w.sameRules {
		d.dir = d.old
	} else {
		// A directory that changed during the scan may get more names in the same
		// tick and keep its key, so that its names are listed again next time.
		d.dir = &Dir{self: d.key, listed: !d.failed.Load() && d.key.before(w.begun), records: records, subs: subs, digest: d.old.digest}
		if !same || patched || !w.sameRules {
			d.dir.digest = w.digest(records)
		}
	}
	d.parts, d.old, d.treat = nil, nil, nil // free memory during the scan
}

// records joins those of the parts. They are the old ones if all are.
func (d *reading) records() (records block, same bool) {
	if len(d.parts) == 1 && d.parts[0].found.diverged {
		return d.parts[0].found.own, false
	}
	same = !d.failed.Load()
	total := 0
	for i := range d.parts {
		total += len(d.parts[i].found.records())
		same = same && d.parts[i].found.isSame()
	}
	if same && total == len(d.old.records) {
		return d.old.records, true
	}
	records = make(block, 0, total)
	for i := range d.parts {
		records = append(records, d.parts[i].found.records()...)
	}
	return records, false
}

// subs are the directories below, in the order of their records: the old ones if
// all are.
func (d *reading) subs() (subs []*Dir, same bool) {
	for i := range d.parts {
		for _, sub := range d.parts[i].subs {
			subs = append(subs, sub.dir)
		}
	}
	if slices.Equal(subs, d.old.subs) {
		return d.old.subs, true
	}
	return subs, false
}

// patch writes the digests of directories into their records, in a copy if these
// are the cache's own.
func patch(records block, subs []*Dir, shared bool) (_ block, patched bool) {
	at := 0
	for r := range records.records() {
		if r.kind() == tree.Directory {
			sub := subs[0]
			if subs = subs[1:]; r.digest() != sub.digest {
				if shared && !patched {
					records = slices.Clone(records)
				}
				patched = true
				record(records[at:]).setDigest(&sub.digest)
			}
		}
		at += len(r)
	}
	return records, patched
}

// digest returns the digest of the texts of all compared records.
func (w *worker) digest(records block) Digest {
	w.hash.Reset()
	text := w.text[:0]
	for r := range records.records() {
		if r.kind() == 0 || r.class() != Compared {
			continue
		}
		if text = w.opts.Policy.AppendText(text, r.entry()); len(text) > bufferSize {
			w.hash.Write(text)
			text = text[:0]
		}
	}
	w.hash.Write(text)
	w.text = text
	return Digest(w.hash.Sum(nil))
}
