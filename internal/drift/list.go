package drift

import (
	"cmp"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// The limits of a report: the number of changes in it, and the bytes of their paths,
// targets and extended attributes.
const (
	maxListed = 10_000
	maxBytes  = 4 << 20
)

// A listed is a change that a report may list.
type listed struct {
	Change
	pair Pair
	key  string // path for sorting, which may be shortened
	size int    // counted against maxBytes
}

// A list keeps the changes that a report lists: the most severe and, of those, the ones
// with the shortest paths. Only the number of the others is kept. Otherwise a
// container could fill the memory of the process that compares it, or hide a change
// behind a million others.
type list struct {
	found   []listed
	bytes   int
	omitted map[Severity]int
	last    *listed // a change that comes after this one is not listed; nil if there is room
}

func newList() list { return list{omitted: map[Severity]int{}} }

// add adds a change whose path may be shortened.
func (l *list) add(ch Change, p Pair) {
	f := listed{Change: ch, pair: p, key: ch.Path, size: sizeOf(ch, p)}
	if f.size > maxBytes || l.last != nil && isBefore(*l.last, f) {
		l.omitted[ch.Severity]++
		return
	}
	f.complete()
	l.found = append(l.found, f)
	l.bytes += f.size
	// Twice the limits, so that sorting does not dominate.
	if len(l.found) >= 2*maxListed || l.bytes >= 2*maxBytes {
		l.cut()
	}
}

// complete fills the fields that are costly for a change that is not listed.
func (f *listed) complete() {
	if f.pair.Path != nil && f.pair.Size > len(f.Path) {
		f.Path = f.pair.Path()
		if f.Want != nil {
			f.Want.Path = f.Path
		}
		if f.Got != nil {
			f.Got.Path = f.Path
		}
	}
	if f.pair.From != nil && f.Kind == Added {
		f.From = f.pair.From()
	}
}

// sizeOf returns how much a change counts against maxBytes.
func sizeOf(ch Change, p Pair) int {
	size := max(len(ch.Path), p.Size)
	for _, e := range []*tree.Entry{ch.Want, ch.Got} {
		if e == nil {
			continue
		}
		size += len(e.Target)
		for name, value := range e.Xattrs {
			size += len(name) + len(value)
		}
	}
	return size
}

// isBefore reports whether a takes precedence over b.
func isBefore(a, b listed) bool { return byPrecedence(a, b) < 0 }

func byPrecedence(a, b listed) int {
	return cmp.Or(a.Severity.Compare(b.Severity), cmp.Compare(a.size, b.size), cmp.Compare(a.key, b.key))
}

// cut drops the changes that exceed the limits.
func (l *list) cut() {
	slices.SortFunc(l.found, byPrecedence)
	keep, bytes := 0, 0
	for keep < min(len(l.found), maxListed) && bytes+l.found[keep].size <= maxBytes {
		bytes += l.found[keep].size
		keep++
	}
	if keep == len(l.found) {
		return
	}
	for _, f := range l.found[keep:] {
		l.omitted[f.Severity]++
	}
	last := l.found[max(keep-1, 0)]
	last.pair = Pair{}
	l.last = &last
	clear(l.found[keep:])
	l.found, l.bytes = l.found[:keep], bytes
}

// take returns the changes to list and the number of the others.
func (l *list) take() ([]listed, map[Severity]int) {
	l.cut()
	if len(l.omitted) == 0 {
		return l.found, nil
	}
	return l.found, l.omitted
}
