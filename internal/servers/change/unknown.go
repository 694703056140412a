package change

import (
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A pathSet is a set of paths, each with everything below it.
type pathSet map[string]bool

func (s pathSet) covers(p string) bool {
	for !s[p] {
		if p == "/" || p == "." {
			return false
		}
		p = path.Dir(p)
	}
	return true
}

// unknownPaths returns the paths of files that could not be read.
func unknownPaths(all []facts.Unknown) pathSet {
	s := pathSet{}
	for _, u := range all {
		if u.Section == "" {
			s[u.Path] = true
		}
	}
	return s
}

// knownChanges drops changes of files that could not be read before or after. A file
// that could be read only afterwards is not new, and an undo must not remove it.
func knownChanges(files []compare.FileChange, unknowns []facts.Unknown) []compare.FileChange {
	unknown := unknownPaths(unknowns)
	return slices.DeleteFunc(files, func(f compare.FileChange) bool { return unknown.covers(f.Path) })
}

// addUnknowns adds to the unknowns of the state, each path once.
func (r *runner) addUnknowns(lists ...[]facts.Unknown) {
	for _, u := range slices.Concat(lists...) {
		same := func(v facts.Unknown) bool { return u.Path == v.Path && u.Section == v.Section }
		if !slices.ContainsFunc(r.state.Unknowns, same) {
			r.state.Unknowns = append(r.state.Unknowns, u)
		}
	}
}

// unknownUnrestored returns the unknown paths that an undo should have restored.
func (r *runner) unknownUnrestored() (left []string) {
	for p := range unknownPaths(r.state.Unknowns) {
		if isBelow(p, r.saved) || isBelow(p, alwaysSaved) {
			left = append(left, p)
		}
	}
	slices.Sort(left)
	return left
}
