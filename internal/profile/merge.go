package profile

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/adamant-sh/adamant/internal/observe"
	"github.com/adamant-sh/adamant/internal/tree"
)

// mergeWrites returns all writes of both lists, by path. Calls are added up;
// of bytes, the larger number counts.
func mergeWrites(a, b []Write) []Write {
	byPath := map[string]Write{}
	for _, w := range slices.Concat(a, b) {
		have, ok := byPath[w.Path]
		if !ok {
			have = Write{Path: w.Path, Ops: map[observe.Op]int{}}
			have.UIDs = w.UIDs
		} else if (len(have.UIDs) == 0) != (len(w.UIDs) == 0) {
			have.UIDs = union(have.UIDs, []uint32{0}) // no list means root alone
		}
		for op, n := range w.Ops {
			have.Ops[op] += n
		}
		have.By = union(have.By, w.By)
		have.UIDs = union(have.UIDs, w.UIDs)
		have.Errors = union(have.Errors, w.Errors)
		have.Peers = union(have.Peers, w.Peers)
		have.Bytes = max(have.Bytes, w.Bytes)
		have.Reason = cmp.Or(have.Reason, w.Reason)
		have.Made = cmp.Or(have.Made, w.Made)
		byPath[w.Path] = have
	}
	var out []Write
	for _, name := range slices.SortedFunc(maps.Keys(byPath), tree.ComparePaths) {
		out = append(out, byPath[name])
	}
	return out
}

// mergeEvidence appends what is new. The same shortage twice is twice a
// shortage.
func mergeEvidence(a, b []Failure) []Failure {
	out := slices.Clone(a)
	for _, f := range b {
		if f.Errno == "ENOSPC" || f.Errno == "EDQUOT" || !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func sameVolumes(a, b []Volume) bool {
	return slices.EqualFunc(a, b, func(x, y Volume) bool {
		x.Why, y.Why, x.Need, y.Need = nil, nil, "", ""
		return reflect.DeepEqual(x, y)
	})
}
