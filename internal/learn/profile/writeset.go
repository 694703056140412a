package profile

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// folded is the assumed maximum number of files in "dir/*" at one time, by
// which their bytes are multiplied.
const folded = 32

// A writeSet combines accesses into writes.
type writeSet struct {
	rootfs  Rootfs
	failed  bool // the accesses failed in a proof
	writes  map[string]*entry
	refused map[string]*entry
	spared  map[string]*entry
}

// An entry is a write whose accesses are still being added.
type entry struct {
	Write
	bytes map[string]int64 // the largest size seen of each file that the path stands for
}

func newWriteSet(s Rootfs) *writeSet {
	return &writeSet{rootfs: s, writes: map[string]*entry{}, refused: map[string]*entry{}, spared: map[string]*entry{}}
}

// trace adds an access. Accesses on mounts do not change the root file system and
// are ignored.
func (l *writeSet) trace(a trace.Access) {
	a.Path = path.Clean("/" + a.Path)
	if !l.rootfs.onRoot(a) {
		return
	}
	switch {
	case a.Errno == "EEXIST", a.Errno == "EINTR", a.Errno == "EAGAIN":
		// The requested entry exists, or the program repeats the call.
	case a.Op == trace.Check && a.Errno != "":
		// The answer was no.
	case a.Op == trace.Check && !l.failed && isIdleCheck(a.Path, l.rootfs):
		l.at(l.spared, a.Path).add(a)
	case a.Errno != "":
		l.at(l.refused, a.Path).add(a)
	case isDispensable(a.Path):
		l.at(l.spared, a.Path).add(a)
	default:
		e := l.at(l.writes, a.Path)
		e.add(a)
		if a.Peer != "" {
			e.Peers = union(e.Peers, []string{l.label(path.Clean("/" + a.Peer))})
		}
	}
}

// witness adds a write that no trace has. If a trace has it, or has "dir/*",
// only its size and changes of attributes are added.
func (l *writeSet) witness(left Leftover, ops ...trace.Op) {
	many := l.label(path.Join(path.Dir(left.Path), "*"))
	if e, ok := l.writes[many]; ok && !l.rootfs.has(left.Path) {
		e.size(left.Path, left.Size)
		return
	}
	to := l.writes
	if isDispensable(left.Path) {
		to = l.spared
	}
	e := l.at(to, left.Path)
	e.size(left.Path, left.Size)
	known := slices.Collect(maps.Keys(e.Ops))
	if len(known) == 0 || isAttribute(ops[0]) && !slices.ContainsFunc(known, isAttribute) {
		for _, op := range ops {
			e.add(trace.Access{Op: op, Path: left.Path, Count: 1})
		}
	}
}

// made records the owner of a directory that the container created, because a
// volume may be mounted in its place.
func (l *writeSet) made(dir tree.Entry) {
	if e, ok := l.writes[l.label(dir.Path)]; ok && e.Path == dir.Path && l.rootfs.isDir(path.Dir(dir.Path)) {
		e.Made = &Owner{Mode: Mode(dir.Mode), UID: dir.UID, GID: dir.GID}
	}
}

// wroteIn reports whether a write directly in a directory is known.
func (l *writeSet) wroteIn(dir string) bool {
	for p := range l.writes {
		if p != dir && path.Dir(p) == dir {
			return true
		}
	}
	return false
}

func (l *writeSet) at(m map[string]*entry, name string) *entry {
	label := l.label(name)
	e, ok := m[label]
	if !ok {
		e = &entry{Write: Write{Path: label, Ops: map[trace.Op]int{}}, bytes: map[string]int64{}}
		m[label] = e
	}
	return e
}

// label returns the path under which a write is recorded. Names that the image
// does not have are generalised, so that two runs have the same writes.
func (l *writeSet) label(name string) string {
	if cache, ok := cacheOf(name); ok {
		return cache
	}
	if l.rootfs.has(name) {
		return name
	}
	return generalisePath(name, l.rootfs.anchor(name))
}

func (e *entry) add(a trace.Access) {
	e.Ops[a.Op] += max(a.Count, 1)
	if a.Exe != "" {
		e.By = union(e.By, []string{a.Exe})
	}
	if a.Errno != "" {
		e.Errors = union(e.Errors, []string{a.Errno})
	}
	e.UIDs = union(e.UIDs, []uint32{a.UID})
	if path.Base(a.Path) == "*" {
		a.Bytes *= int64(min(max(a.Count, 1), folded))
	}
	e.size(a.Path, a.Bytes)
}

func (e *entry) size(name string, bytes int64) {
	e.bytes[name] = max(e.bytes[name], bytes)
}

// lists returns the successful writes, the refused ones that never succeeded,
// and the dispensable ones, each sorted by path.
func (l *writeSet) lists() (writes, refused, spared []Write) {
	for name, e := range l.refused {
		if w, ok := l.writes[name]; ok {
			maps.DeleteFunc(e.Ops, func(op trace.Op, _ int) bool { return w.Ops[op] > 0 })
		}
		if len(e.Ops) == 0 {
			delete(l.refused, name)
		}
	}
	return settle(l.writes), settle(l.refused), settle(l.spared)
}

func settle(m map[string]*entry) []Write {
	var out []Write
	for _, name := range slices.SortedFunc(maps.Keys(m), tree.ComparePaths) {
		e := m[name]
		for _, n := range e.bytes {
			e.Bytes += n
		}
		// An empty list means root alone, which keeps most profiles short.
		if len(e.UIDs) == 1 && e.UIDs[0] == 0 {
			e.UIDs = nil
		}
		out = append(out, e.Write)
	}
	return out
}

// cacheOf returns the common label of all files in a directory of byte code.
// There may be hundreds of them, and none needs a volume.
func cacheOf(name string) (string, bool) {
	const dir = "/__pycache__/"
	if i := strings.Index(name+"/", dir); i >= 0 {
		return name[:i] + dir + "*", true
	}
	return "", false
}

// isDispensable reports whether a path is a cache that its program works
// without: Python's byte code, which should be in the image.
func isDispensable(name string) bool {
	return strings.Contains(name+"/", "/__pycache__/") || strings.HasSuffix(name, ".pyc")
}
