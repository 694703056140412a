package profile

import (
	"cmp"
	"slices"
)

// union returns the sorted union of both lists, nil if they are empty. It does
// not modify the lists.
func union[T cmp.Ordered](a, b []T) []T {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
