package facts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/scan"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A reference is the expected result of a scan, computed from a plain walk of the tree.
type reference struct {
	tree    tree.Tree
	names   names
	below   map[string]string
	summary Summary
}

func referenceScan(ctx context.Context, root *rootfs.Root) (*reference, error) {
	t, unknowns, err := root.Walk(ctx, rootfs.WalkOptions{
		Hash: true, OneFileSystem: true,
		Skip: func(e tree.Entry) bool { return slices.Contains(skipped, e.Path) },
	})
	if err != nil {
		return nil, err
	}
	s := &reference{names: readNames(rootFiles{root}), below: map[string]string{}, summary: Summary{Expected: map[Expected]int{}}}
	var compared []tree.Entry
	for e := range t.All() {
		class, isExpected := ExpectedAt(e.Path)
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
	s.summary.Entries, s.summary.Digest = s.tree.Len(), s.digest("/")
	for _, u := range unknowns {
		if _, isExpected := ExpectedAt(u.Path); !isExpected && !errors.Is(u.Err, tree.ErrMounted) {
			s.summary.Unknowns = append(s.summary.Unknowns, Unknown{Path: u.Path, Reason: u.Err.Error()})
		}
	}
	return s, nil
}

func (s *reference) digest(dir string) string {
	for e := range s.tree.Children(dir) {
		if e.Kind == tree.Directory {
			s.digest(e.Path)
		}
	}
	h := sha256.New()
	for _, n := range s.list(dir) {
		digest, ofDir := n.Digest, ""
		if n.IsDir() {
			digest, ofDir = "", " "+n.Digest
		}
		fmt.Fprintf(h, "%q %s %04o %q %q %d %s %q %s", n.Name, n.Kind, n.Mode, n.Owner, n.Group, n.Size, digest, n.Target, n.Device)
		for _, k := range slices.Sorted(maps.Keys(n.Xattrs)) {
			fmt.Fprintf(h, " %q=%q", k, n.Xattrs[k])
		}
		fmt.Fprintf(h, "%s\n", ofDir)
	}
	s.below[dir] = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return s.below[dir]
}

func (s *reference) list(dir string) []Node {
	var nodes []Node
	for e := range s.tree.Children(dir) {
		digest := e.Digest
		if e.Kind == tree.Directory {
			digest = s.below[e.Path]
		}
		nodes = append(nodes, nodeOf(scan.Entry{
			Name: path.Base(e.Path), Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size,
			Digest: digest, Target: e.Target, Major: e.Major, Minor: e.Minor, Xattrs: e.Xattrs,
		}, s.names))
	}
	return nodes
}

// requireReference fails unless a scan found exactly what it must find.
func requireReference(t testing.TB, root *rootfs.Root, got *Scan) {
	t.Helper()
	want, err := referenceScan(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	summary := got.Summary()
	summary.Note = ""
	if diff := cmp.Diff(summary, want.summary); diff != "" {
		t.Errorf("the summary differs from that of the reference:\n%s", diff)
	}
	for dir := range want.below {
		nodes, err := got.List(dir)
		if diff := cmp.Diff(nodes, want.list(dir)); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", dir, err, diff)
		}
	}
}
