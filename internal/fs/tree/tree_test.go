package tree

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func dir(path string) Entry         { return Entry{Path: path, Kind: Directory, Mode: 0o755} }
func file(path string) Entry        { return Entry{Path: path, Kind: Regular, Mode: 0o644} }
func symlink(path, to string) Entry { return Entry{Path: path, Kind: Symlink, Mode: 0o777, Target: to} }
func paths(seq func(func(Entry) bool)) []string {
	var all []string
	for e := range seq {
		all = append(all, e.Path)
	}
	return all
}

func mustTree(t testing.TB, entries ...Entry) Tree {
	t.Helper()
	tree, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"relative path", []Entry{file("a")}, "path is not absolute and clean"},
		{"path with dots", []Entry{file("/a/../b")}, "path is not absolute and clean"},
		{"path with a zero byte", []Entry{file("/a\x00b")}, "path is not absolute and clean"},
		{"the same path twice", []Entry{file("/a"), dir("/a")}, `"/a" appears twice`},
		{"below a file", []Entry{file("/a/b"), file("/a")}, `"/a/b" lies below a regular file`},
		{"deep below a link", []Entry{symlink("/a", "b"), file("/a/b/c")}, `"/a/b/c" lies below a symbolic link`},
		{"no kind", []Entry{{Path: "/a"}}, "no such kind 0"},
		{"root is a file", []Entry{file("/")}, "the root is not a directory"},
		{"mode with a type", []Entry{{Path: "/a", Kind: Regular, Mode: 0o100644}}, "bits that are not permissions"},
		{"directory with a size", []Entry{{Path: "/a", Kind: Directory, Size: 4096}}, "a directory of 4096 bytes"},
		{"negative size", []Entry{{Path: "/a", Kind: Regular, Size: -1}}, "-1 bytes"},
		{"digest of another kind", []Entry{{Path: "/a", Kind: Regular, Digest: "md5:abc"}}, "with digest"},
		{"link without a target", []Entry{{Path: "/a", Kind: Symlink}}, `a symbolic link with target ""`},
		{"file with a target", []Entry{{Path: "/a", Kind: Regular, Target: "b"}}, "a regular file with target"},
		{"file with a device number", []Entry{{Path: "/a", Kind: Regular, Major: 1}}, "but not a device"},
		{"hard link to a later path", []Entry{{Path: "/a", Kind: Regular, Link: "/b"}}, `hard linked to "/b"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.entries)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	tree := mustTree(t, file("/b"), file("/a.x"), file("/a/c"), dir("/a"), file("/a-x"), file("/a/b/c"), dir("/a/b"), dir("/"), file("/a\x01"))
	want := []string{"/", "/a", "/a/b", "/a/b/c", "/a/c", "/a\x01", "/a-x", "/a.x", "/b"}
	if diff := cmp.Diff(paths(tree.All()), want); diff != "" {
		t.Errorf("All (- got, + want):\n%s", diff)
	}
}

func TestPartialTree(t *testing.T) {
	tree := mustTree(t, file("/a/b/c"), file("/a/d"), file("/e"))
	for _, tt := range []struct {
		name string
		got  []string
		want []string
	}{
		{"children of what is missing", paths(tree.Children("/a")), []string{"/a/d"}},
		{"children of the root", paths(tree.Children("/")), []string{"/e"}},
		{"under what is missing", paths(tree.Under("/a")), []string{"/a/b/c", "/a/d"}},
		{"under nothing", paths(tree.Under("/x")), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.got, tt.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The methods of a random tree have the same results as a linear search.
func TestQuestionsAgreeWithScan(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(1, seed))
		tree := randomTree(t, r)
		for range 20 {
			at := randomPath(r)
			var under, children []string
			found := false
			for e := range tree.All() {
				found = found || e.Path == at
				if e.Path == at || strings.HasPrefix(e.Path, strings.TrimSuffix(at, "/")+"/") {
					under = append(under, e.Path)
				}
				if path.Dir(e.Path) == at && e.Path != at {
					children = append(children, e.Path)
				}
			}
			e, ok := tree.Lookup(at)
			if ok != found || ok && e.Path != at || (tree.Index(at) >= 0) != found {
				t.Fatalf("seed %d: Lookup(%s) = %v, %v", seed, at, e, ok)
			}
			if diff := cmp.Diff(paths(tree.Under(at)), under); diff != "" {
				t.Fatalf("seed %d: Under(%s):\n%s", seed, at, diff)
			}
			if diff := cmp.Diff(paths(tree.Children(at)), children); diff != "" {
				t.Fatalf("seed %d: Children(%s):\n%s", seed, at, diff)
			}
		}
	}
}

func randomPath(r *rand.Rand) string {
	p := "/"
	for range r.IntN(4) {
		p = path.Join(p, string("ab-.\xff"[r.IntN(5)])+string("a/ \\="[r.IntN(5)]))
	}
	return p
}

// randomTree makes a complete tree in which all kinds of entry meet.
func randomTree(t testing.TB, r *rand.Rand) Tree {
	byPath := map[string]Entry{"/": dir("/")}
	for range r.IntN(30) {
		p := randomPath(r)
		if _, ok := byPath[p]; ok {
			continue
		}
		usable := true
		for d := path.Dir(p); usable; d = path.Dir(d) {
			if e, ok := byPath[d]; ok {
				usable = e.Kind == Directory
				break
			}
		}
		if !usable {
			continue
		}
		for d := path.Dir(p); d != "/"; d = path.Dir(d) {
			if _, ok := byPath[d]; !ok {
				byPath[d] = dir(d)
			}
		}
		byPath[p] = randomEntry(r, p)
	}
	all := make([]Entry, 0, len(byPath))
	for _, e := range byPath {
		all = append(all, e)
	}
	return mustTree(t, all...)
}

func randomEntry(r *rand.Rand, p string) Entry {
	e := Entry{Path: p, Kind: Kind(1 + r.IntN(int(Socket))), Mode: r.Uint32() & 0o7777, UID: r.Uint32N(3), GID: r.Uint32()}
	switch e.Kind {
	case Regular:
		e.Size = r.Int64N(3)
		e.Digest = []string{"", fmt.Sprintf("sha256:%064x", r.Uint32())}[r.IntN(2)]
	case Symlink:
		e.Target = randomPath(r)
	case CharDevice, BlockDevice:
		e.Major, e.Minor = r.Uint32N(3), r.Uint32()
	}
	if r.IntN(3) == 0 {
		e.Xattrs = map[string]string{"user.a=b c": "\x00\xff", CapabilityXattr: "x"}
	}
	if e.Kind != Directory && r.IntN(3) == 0 {
		e.Link = p
	}
	return e
}

func TestDiff(t *testing.T) {
	sum := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	full := Entry{Path: "/a", Kind: Regular, Mode: 0o755, Size: 3, Digest: sum("a"), Xattrs: map[string]string{"user.x": "1", CapabilityXattr: "c"}}
	device := Entry{Path: "/a", Kind: CharDevice, Mode: 0o600, Major: 1, Minor: 3}
	change := func(e Entry, edit func(*Entry)) Entry {
		attrs := map[string]string{}
		for k, v := range e.Xattrs {
			attrs[k] = v
		}
		e.Xattrs = attrs
		edit(&e)
		return e
	}
	for _, tt := range []struct {
		name string
		a, b Entry
		want []string
	}{
		{"nothing", full, full, nil},
		{"no part of identity", full, change(full, func(e *Entry) { e.Link = "/a"; e.ModTime = e.ModTime.AddDate(1, 0, 0) }), nil},
		{"same size, other content", full, change(full, func(e *Entry) { e.Digest = sum("b") }), []string{"content"}},
		{"content was not read", full, change(full, func(e *Entry) { e.Digest = "" }), []string{"content"}},
		{"content of neither was read", change(full, func(e *Entry) { e.Digest = "" }), change(full, func(e *Entry) { e.Digest = "" }), []string{"content"}},
		{"empty files need no reading", file("/a"), change(file("/a"), func(e *Entry) { e.Digest = sum("e") }), nil},
		{"mode", full, change(full, func(e *Entry) { e.Mode |= 0o4000 }), []string{"mode"}},
		{"owner", full, change(full, func(e *Entry) { e.UID = 1 }), []string{"owner"}},
		{"group", full, change(full, func(e *Entry) { e.GID = 1 }), []string{"owner"}},
		{"attribute", full, change(full, func(e *Entry) { e.Xattrs["user.x"] = "2" }), []string{"xattr"}},
		{"capability", full, change(full, func(e *Entry) { delete(e.Xattrs, CapabilityXattr) }), []string{"capability"}},
		{"both", full, change(full, func(e *Entry) { e.Xattrs = nil }), []string{"xattr", "capability"}},
		{"no attributes in two ways", file("/a"), change(file("/a"), func(*Entry) {}), nil},
		{"target", symlink("/a", "b"), symlink("/a", "c"), []string{"target"}},
		{"mode of a link", symlink("/a", "b"), change(symlink("/a", "b"), func(e *Entry) { e.Mode = 0o755 }), nil},
		{"device", device, change(device, func(e *Entry) { e.Minor = 5 }), []string{"device"}},
		{"type", full, change(dir("/a"), func(e *Entry) { e.UID = 1 }), []string{"type", "owner", "xattr", "capability"}},
		{"type to a link", file("/a"), symlink("/a", "b"), []string{"type"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.a.Diff(tt.b), tt.want); diff != "" {
				t.Errorf("Diff (- got, + want):\n%s", diff)
			}
			if diff := cmp.Diff(tt.b.Diff(tt.a), tt.want); diff != "" {
				t.Errorf("the other way round:\n%s", diff)
			}
			if got := tt.a.Same(tt.b); got != (tt.want == nil) {
				t.Errorf("Same = %v", got)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	var all []Entry
	for i := range 100_000 {
		all = append(all, file(fmt.Sprintf("/usr/share/%d/%d/file", i%100, i)))
	}
	for b.Loop() {
		if _, err := New(slices.Clone(all)); err != nil {
			b.Fatal(err)
		}
	}
}
