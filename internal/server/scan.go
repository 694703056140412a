package server

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/tree"
)

// A Scan is the files of a server at one time, with a digest of what lies below
// each directory. It keeps the root open.
type Scan struct {
	root    *tree.Root
	tree    tree.Tree
	names   names
	below   map[string]string // digest by directory
	summary Summary
}

// A Summary is what is known of a scan without looking into directories.
type Summary struct {
	Digest     string           `json:"digest"`  // of everything that is compared
	Entries    int              `json:"entries"` // that are compared
	Expected   map[Expected]int `json:"expected,omitempty"`
	Identities []FileDigest     `json:"identities,omitempty"`
	Unknowns   []Unknown        `json:"unknowns,omitempty"`
}

// A FileDigest is what is said of a file whose content stays where it is.
type FileDigest struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// An Unknown is a path that could not be read, and why.
type Unknown struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// ScanRoot reads all files of a root, what is bound to differ only by its count.
// Other file systems that are mounted in it are left out: that they are is among
// the facts.
func ScanRoot(ctx context.Context, root *tree.Root) (*Scan, error) {
	t, unknowns, err := root.Walk(ctx, tree.WalkOptions{
		Hash: true, OneFileSystem: true,
		Skip: func(e tree.Entry) bool { return slices.Contains(skipped, e.Path) },
	})
	if err != nil {
		return nil, err
	}
	s := &Scan{root: root, names: readNames(root), below: map[string]string{}, summary: Summary{Expected: map[Expected]int{}}}
	var compared []tree.Entry
	for e := range t.All() {
		class, isExpected := expectedAt(e.Path)
		if !isExpected {
			compared = append(compared, e)
			continue
		}
		s.summary.Expected[class]++
		if class == Identity && e.Kind == tree.Regular && e.Size > 0 {
			s.summary.Identities = append(s.summary.Identities, FileDigest{e.Path, e.Digest})
		}
	}
	if s.tree, err = tree.New(compared); err != nil {
		return nil, err
	}
	s.summary.Entries, s.summary.Digest = s.tree.Len(), s.digest("/", 0)
	s.summary.Unknowns = relevant(unknowns)
	return s, nil
}

// relevant are the unknowns that say something of the server.
func relevant(all []tree.Unknown) []Unknown {
	var list []Unknown
	for _, u := range all {
		_, isExpected := expectedAt(u.Path)
		if isExpected || errors.Is(u.Err, tree.ErrMounted) {
			continue
		}
		list = append(list, Unknown{u.Path, u.Err.Error()})
	}
	return list
}

// maxDepth is deeper than any path that a program can name.
const maxDepth = 4096

// digest computes the digests of a directory and all below it.
func (s *Scan) digest(dir string, depth int) string {
	if depth > maxDepth {
		return "too deep"
	}
	var nodes []Node
	for e := range s.tree.Children(dir) {
		below := ""
		if e.Kind == tree.Directory {
			below = s.digest(e.Path, depth+1)
		}
		nodes = append(nodes, nodeOf(e, path.Base(e.Path), s.names, below))
	}
	d := digestOf(nodes)
	s.below[dir] = d
	return d
}

// Summary is what is known without looking into directories.
func (s *Scan) Summary() Summary { return s.summary }

// List returns what is in a directory, in the order of the names.
func (s *Scan) List(dir string) ([]Node, error) {
	if _, ok := s.below[dir]; !ok {
		return nil, fmt.Errorf("list %s: no such directory was read", dir)
	}
	var nodes []Node
	for e := range s.tree.Children(dir) {
		nodes = append(nodes, nodeOf(e, path.Base(e.Path), s.names, s.below[e.Path]))
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, nil
}
