package profile

import (
	"cmp"
	"slices"
)

// union returns the sorted set of all elements of both lists; nil if there are
// none. It changes neither.
func union[T cmp.Ordered](a, b []T) []T {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
