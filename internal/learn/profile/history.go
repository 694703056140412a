package profile

import (
	"path"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A history holds the results of the calls of some runs.
type history struct {
	calls  map[call]past // by path
	dirs   map[call]past // by directory: all calls in it
	folded map[call]past // by directory: the "dir/*" of traces, which covers the names that were folded
}

// A call identifies accesses that are the same in two runs.
type call struct {
	family trace.Op
	path   string
	exe    string
}

// A past holds the results of one call.
type past struct {
	succeeded bool
	errors    map[string]bool
}

func newHistory(traces []trace.Trace) history {
	h := history{calls: map[call]past{}, dirs: map[call]past{}, folded: map[call]past{}}
	for _, t := range traces {
		for _, a := range t.Accesses {
			own, dir := keys(a)
			note(h.calls, own, a.Errno)
			note(h.dirs, dir, a.Errno)
			if isFolded(a) {
				note(h.folded, dir, a.Errno)
			}
		}
	}
	return h
}

func note(m map[call]past, key call, errno string) {
	p := m[key]
	if errno == "" {
		p.succeeded = true
	} else {
		if p.errors == nil {
			p.errors = map[string]bool{}
		}
		p.errors[errno] = true
	}
	m[key] = p
}

// of returns the results of an access. If one of the two runs was folded and
// the other was not, the directory's results apply.
func (h history) of(a trace.Access) past {
	own, dir := keys(a)
	if p, ok := h.calls[own]; ok {
		return p
	}
	if isFolded(a) {
		return h.dirs[dir]
	}
	return h.folded[dir]
}

// keys returns the calls under which an access is recorded: that of its path,
// and that of its directory.
func keys(a trace.Access) (own, dir call) {
	own = call{family(a.Op), generalisePath(a.Path, "/"), a.Exe}
	dir = own
	dir.path = path.Dir(own.path)
	return own, dir
}

func isFolded(a trace.Access) bool { return path.Base(a.Path) == "*" }

// family returns one operation for all those between which only the state of
// the file system decides: open creates a file, or truncates or writes an
// existing one.
func family(op trace.Op) trace.Op {
	if op == trace.Write || op == trace.Truncate {
		return trace.Create
	}
	return op
}
