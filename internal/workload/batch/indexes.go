package batch

import (
	"slices"
	"strconv"
	"strings"
)

// Indexes is a set of the indexes of an Indexed Job: ranges in ascending order that
// neither overlap nor touch. Its size depends on the gaps and not on the number of
// indexes, which may be billions.
type Indexes []Range

// A Range holds the indexes from First to Last.
type Range struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// find returns the place of the first range that ends at i or later.
func (x Indexes) find(i int) int {
	n, _ := slices.BinarySearchFunc(x, i, func(r Range, i int) int { return r.Last - i })
	return n
}

// Has reports whether an index is in the set.
func (x Indexes) Has(i int) bool {
	n := x.find(i)
	return n < len(x) && x[n].First <= i
}

// next returns the first index from i on that is not in the set.
func (x Indexes) next(i int) int {
	if n := x.find(i); n < len(x) && x[n].First <= i {
		return x[n].Last + 1
	}
	return i
}

// Len returns the number of indexes.
func (x Indexes) Len() int {
	n := 0
	for _, r := range x {
		n += r.Last - r.First + 1
	}
	return n
}

// common returns the number of indexes that are in both sets.
func (x Indexes) common(y Indexes) int {
	n := 0
	for len(x) > 0 && len(y) > 0 {
		n += max(min(x[0].Last, y[0].Last)-max(x[0].First, y[0].First)+1, 0)
		if x[0].Last < y[0].Last {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return n
}

// parseIndexes reads "1,3-5", which was checked with the manifest. Indexes from limit on
// are left out.
func parseIndexes(text string, limit int) Indexes {
	x := Indexes{}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if isRange && err == nil {
			if last, err = strconv.Atoi(to); err != nil {
				last, err = limit, nil
			}
		}
		if last = min(last, limit-1); err == nil && first <= last {
			x = append(x, Range{first, last})
		}
	}
	slices.SortFunc(x, func(a, b Range) int { return a.First - b.First })
	out := x[:0]
	for _, r := range x {
		if n := len(out) - 1; n >= 0 && r.First <= out[n].Last+1 {
			out[n].Last = max(out[n].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// with returns the set with one more index. It does not change x.
func (x Indexes) with(i int) Indexes {
	if x.Has(i) {
		return x
	}
	n := x.find(i)
	joinsLeft := n > 0 && x[n-1].Last == i-1
	joinsRight := n < len(x) && x[n].First == i+1
	out := slices.Clone(x)
	switch {
	case joinsLeft && joinsRight:
		out[n-1].Last = out[n].Last
		return slices.Delete(out, n, n+1)
	case joinsLeft:
		out[n-1].Last = i
	case joinsRight:
		out[n].First = i
	default:
		out = slices.Insert(out, n, Range{i, i})
	}
	return out
}

// String returns "1,3-5", as in the status of a Job.
func (x Indexes) String() string {
	var parts []string
	for _, r := range x {
		one := strconv.Itoa(r.First)
		if r.Last > r.First {
			one += "-" + strconv.Itoa(r.Last)
		}
		parts = append(parts, one)
	}
	return strings.Join(parts, ",")
}
