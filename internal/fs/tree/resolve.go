package tree

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Errors of a path that cannot be resolved, as the kernel's ELOOP and ENOTDIR.
var (
	ErrLoop         = errors.New("too many levels of symbolic links")
	ErrNotDirectory = errors.New("not a directory")
)

// maxLinks is the maximum number of symbolic links in the resolution of a path, as
// in Linux, see path_resolution(7).
const maxLinks = 40

// Resolve follows the symbolic links of a path, including the last component, as a
// process with this root directory: absolute targets start at the tree's root, and
// ".." stops there. It returns the canonical path and whether the tree has an entry
// there. The components after the first one that is not in the tree are kept, so that
// the result is also the path at which a missing file would be created.
//
// The error wraps ErrLoop for more than 40 links, and ErrNotDirectory if
// the path leads through something that is not a directory.
func (t Tree) Resolve(path string) (canonical string, exists bool, err error) {
	return ResolveWith(path, func(p string) (Entry, bool, error) {
		e, ok := t.Lookup(p)
		return e, ok, nil
	})
}

// ResolveWith is Tree.Resolve for any source of entries. It calls lookup for one
// component after the other. A component that lookup does not find counts as a
// directory: it may be missing from a partial tree.
func ResolveWith(name string, lookup func(string) (Entry, bool, error)) (canonical string, exists bool, err error) {
	rest := name
	canonical = "/"
	dir := true      // canonical may be a directory
	found := true    // canonical is in the tree
	strayed := false // ".." was applied to a path that is not in the tree
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch {
		case part == "":
			continue
		case !dir:
			return "", false, fmt.Errorf("resolve %s: %s: %w", name, canonical, ErrNotDirectory)
		case part == ".":
			continue
		case part == "..":
			strayed = strayed || !found
			canonical = path.Dir(canonical)
			continue
		}
		next := path.Join(canonical, part)
		e, ok, err := lookup(next)
		if err != nil {
			return "", false, fmt.Errorf("resolve %s: %w", name, err)
		}
		if !ok || e.Kind != Symlink {
			canonical, dir, found = next, !ok || e.Kind == Directory, ok
			continue
		}
		if links++; links > maxLinks {
			return "", false, fmt.Errorf("resolve %s: %w", name, ErrLoop)
		}
		if strings.HasPrefix(e.Target, "/") {
			canonical = "/"
		}
		rest = e.Target + "/" + rest
	}
	_, exists, err = lookup(canonical)
	if err != nil {
		return "", false, fmt.Errorf("resolve %s: %w", name, err)
	}
	return canonical, exists && !strayed, nil
}
