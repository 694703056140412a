package observe

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// The bounds of a trace.
const (
	maxNames  = 64     // distinct names of one group before they become "dir/*"
	maxRows   = 20_000 // accesses in one trace before directories collapse
	maxReason = 64     // distinct reasons for weakness
)

const tooMany = "too many directories: some were folded into the one above"

// A group is the key of all accesses to names in one directory that differ only in
// the name.
type group struct {
	op                trace.Op
	dir, exe          string
	errno, mountPoint string
	peer              string
	uid               uint32
}

// A tally is the sum of equal accesses.
type tally struct {
	count int
	bytes int64
}

// rows are the accesses of one group by name in the directory. Beyond maxNames
// only the sum is kept, under the name "*".
type rows map[string]*tally

// A table folds accesses so that its size stays bounded: a program that creates
// and removes files of random names for days takes one row, or a few.
type table struct {
	groups    map[group]rows
	size      int             // rows in all groups
	collapsed map[string]bool // directories below which all names are folded
	weak      map[string]bool
}

func newTable() *table {
	return &table{groups: map[group]rows{}, collapsed: map[string]bool{}, weak: map[string]bool{}}
}

// note records a reason why accesses may be missing.
func (t *table) note(reason string) {
	if len(t.weak) < maxReason {
		t.weak[reason] = true
	}
}

// add counts an access n times.
func (t *table) add(a trace.Access, n int) {
	dir, name := path.Split(a.Path)
	if len(dir) > 1 {
		dir = dir[:len(dir)-1]
	}
	g := group{op: a.Op, dir: dir, exe: a.Exe, errno: a.Errno, mountPoint: a.Mount, peer: a.Peer, uid: a.UID}
	in, ok := t.groups[g]
	if !ok && len(t.collapsed) > 0 {
		if top := t.covering(dir); top != "" {
			g.dir, name = top, "*"
			g.peer = t.collapsedPeer(g.peer)
			in, ok = t.groups[g]
		}
	}
	if !ok {
		in = rows{}
		t.groups[g] = in
	}
	t.put(in, name, n, a.Bytes)
	if t.size > maxRows {
		t.collapse()
	}
}

func (t *table) put(in rows, name string, n int, bytes int64) {
	if all := in["*"]; all != nil {
		all.add(n, bytes)
		return
	}
	if row := in[name]; row != nil {
		row.add(n, bytes)
		return
	}
	t.size++
	in[name] = &tally{n, bytes}
	if len(in) <= maxNames && name != "*" {
		return
	}
	sum := &tally{}
	for _, row := range in {
		sum.add(row.count, row.bytes)
	}
	t.size -= len(in) - 1
	clear(in)
	in["*"] = sum
}

func (y *tally) add(n int, bytes int64) {
	y.count = max(y.count, y.count+n) // no overflow: a hostile file may hold any number
	y.bytes = max(y.bytes, bytes)
}

// covering returns the topmost collapsed directory that contains dir, or "".
func (t *table) covering(dir string) string {
	found := ""
	for d := dir; ; d = path.Dir(d) {
		if t.collapsed[d] {
			found = d
		}
		if d == "/" || d == "." {
			return found
		}
	}
}

// collapsedPeer returns the peer of a group in a collapsed directory.
func (t *table) collapsedPeer(peer string) string {
	if peer == "" {
		return ""
	}
	if top := t.covering(path.Dir(peer)); top != "" {
		return join(top, "*")
	}
	return peer
}

// collapse merges the directories below those that have the most of them, until
// half of the table is free. If less were free, the next few accesses would
// collapse it again, and each time costs a pass over the table.
func (t *table) collapse() {
	t.note(tooMany)
	for most := maxNames; t.size > maxRows/2 && most >= 1; most /= 2 {
		children := map[string]int{}
		for g, in := range t.groups {
			if g.dir != "/" && len(in) > 0 {
				children[path.Dir(g.dir)]++
			}
		}
		for dir, n := range children {
			if n > most && dir != "/" {
				t.collapsed[dir] = true
			}
		}
		t.rebuild()
	}
	// A tree that is deep and nowhere wide has no directory with many others,
	// so it collapses by depth.
	for depth := 8; t.size > maxRows/2 && depth >= 1; depth-- {
		for g := range t.groups {
			if strings.Count(g.dir, "/") > depth {
				t.collapsed[prefix(g.dir, depth)] = true
			}
		}
		t.rebuild()
	}
}

// prefix returns the first depth components of dir.
func prefix(dir string, depth int) string {
	end := 0
	for range depth {
		next := strings.IndexByte(dir[end+1:], '/')
		if next < 0 {
			return dir
		}
		end += 1 + next
	}
	return dir[:end]
}

func (t *table) rebuild() {
	old := t.groups
	t.groups, t.size = map[group]rows{}, 0
	for g, in := range old {
		top := t.covering(g.dir)
		if top != "" {
			g.dir = top
			g.peer = t.collapsedPeer(g.peer)
		}
		into := t.groups[g]
		if into == nil {
			into = rows{}
			t.groups[g] = into
		}
		for name, row := range in {
			if top != "" {
				name = "*"
			}
			t.put(into, name, row.count, row.bytes)
		}
	}
}

// accesses lists the table, sorted by path and then by all other fields.
func (t *table) accesses() []trace.Access {
	list := make([]trace.Access, 0, t.size)
	for g, in := range t.groups {
		for name, row := range in {
			list = append(list, trace.Access{Op: g.op, Path: join(g.dir, name), Peer: g.peer, Mount: g.mountPoint, Exe: g.exe,
				UID: g.uid, Errno: g.errno, Count: row.count, Bytes: row.bytes})
		}
	}
	slices.SortFunc(list, compareAccess)
	return list
}

// reasons lists why accesses may be missing.
func (t *table) reasons() []string {
	var list []string
	for r := range t.weak {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

func compareAccess(a, b trace.Access) int {
	for _, c := range [...]int{
		strings.Compare(a.Path, b.Path), strings.Compare(string(a.Op), string(b.Op)),
		strings.Compare(a.Errno, b.Errno), strings.Compare(a.Exe, b.Exe),
		strings.Compare(a.Mount, b.Mount), strings.Compare(a.Peer, b.Peer), int(int64(a.UID) - int64(b.UID)),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}
