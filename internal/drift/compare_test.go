package drift

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func digestOf(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s)))
}

// world is a small tree in which each case changes something.
func world() []*tree.Entry {
	return []*tree.Entry{
		{Path: "/", Kind: tree.Directory, Mode: 0o755},
		{Path: "/etc", Kind: tree.Directory, Mode: 0o755},
		{Path: "/etc/a.conf", Kind: tree.Regular, Mode: 0o644, Size: 3, Digest: "a"},
		{Path: "/lib", Kind: tree.Symlink, Mode: 0o777, Target: "usr/lib"},
		{Path: "/srv", Kind: tree.Directory, Mode: 0o755},
		{Path: "/srv/d", Kind: tree.CharDevice, Mode: 0o600, Major: 1, Minor: 3},
		{Path: "/srv/f", Kind: tree.Regular, Mode: 0o644, Size: 3, Digest: "f", Xattrs: map[string]string{"user.a": "1"}},
	}
}

func TestCompare(t *testing.T) {
	set := func(path string, change func(*tree.Entry)) func([]*tree.Entry) []*tree.Entry {
		return func(l []*tree.Entry) []*tree.Entry {
			for _, e := range l {
				if e.Path == path {
					change(e)
				}
			}
			return l
		}
	}
	without := func(paths ...string) func([]*tree.Entry) []*tree.Entry {
		return func(l []*tree.Entry) []*tree.Entry {
			var left []*tree.Entry
			for _, e := range l {
				if !contains(paths, e.Path) {
					left = append(left, e)
				}
			}
			return left
		}
	}
	with := func(e tree.Entry) func([]*tree.Entry) []*tree.Entry {
		return func(l []*tree.Entry) []*tree.Entry { return append(l, &e) }
	}
	tests := map[string]struct {
		change   func([]*tree.Entry) []*tree.Entry
		opts     Options
		want     []Change
		unknowns []tree.Unknown
	}{
		"nothing":         {change: without()},
		"another time":    {change: set("/srv/f", func(e *tree.Entry) { e.ModTime = e.ModTime.AddDate(1, 0, 0) })},
		"hard linked":     {change: set("/srv/f", func(e *tree.Entry) { e.Link = "/srv/d" })},
		"added":           {change: with(tree.Entry{Path: "/etc/b", Kind: tree.Regular}), want: []Change{{Path: "/etc/b", Kind: Added}}},
		"added last":      {change: with(tree.Entry{Path: "/z", Kind: tree.FIFO}), want: []Change{{Path: "/z", Kind: Added}}},
		"deleted":         {change: without("/lib"), want: []Change{{Path: "/lib", Kind: Deleted}}},
		"deleted last":    {change: without("/srv/f"), want: []Change{{Path: "/srv/f", Kind: Deleted}}},
		"content":         {change: set("/srv/f", func(e *tree.Entry) { e.Digest = "g" }), want: []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"content"}}}},
		"size":            {change: set("/srv/f", func(e *tree.Entry) { e.Size, e.Digest = 4, "" }), want: []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"content"}}}},
		"mode":            {change: set("/srv/f", func(e *tree.Entry) { e.Mode = 0o600 }), want: []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"mode"}}}},
		"owner and xattr": {change: set("/srv/f", func(e *tree.Entry) { e.GID, e.Xattrs = 1, nil }), want: []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"owner", "xattr"}}}},
		"target":          {change: set("/lib", func(e *tree.Entry) { e.Target = "/x" }), want: []Change{{Path: "/lib", Kind: Changed, Fields: []string{"target"}}}},
		"device":          {change: set("/srv/d", func(e *tree.Entry) { e.Minor = 5 }), want: []Change{{Path: "/srv/d", Kind: Changed, Fields: []string{"device"}}}},
		"type": {
			change: set("/srv/f", func(e *tree.Entry) { *e = tree.Entry{Path: e.Path, Kind: tree.FIFO, Mode: 0o644, Xattrs: e.Xattrs} }),
			want:   []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"type"}}},
		},
		"content not read": {
			change:   set("/srv/f", func(e *tree.Entry) { e.Digest = "" }),
			unknowns: []tree.Unknown{{Path: "/srv/f", Err: errors.New("its content was not read")}},
		},
		"content not read, mode differs": {
			change:   set("/srv/f", func(e *tree.Entry) { e.Digest, e.Mode = "", 0 }),
			want:     []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"mode"}}},
			unknowns: []tree.Unknown{{Path: "/srv/f", Err: errors.New("its content was not read")}},
		},
		"content found equal": {
			change: set("/srv/f", func(e *tree.Entry) { e.Digest = "" }),
			opts:   Options{Equal: func(string) (bool, error) { return true, nil }},
		},
		"content found different": {
			change: set("/srv/f", func(e *tree.Entry) { e.Digest = "" }),
			opts:   Options{Equal: func(string) (bool, error) { return false, nil }},
			want:   []Change{{Path: "/srv/f", Kind: Changed, Fields: []string{"content"}}},
		},
		"content cannot be read": {
			change:   set("/srv/f", func(e *tree.Entry) { e.Digest = "" }),
			opts:     Options{Equal: func(string) (bool, error) { return true, tree.ErrChanged }},
			unknowns: []tree.Unknown{{Path: "/srv/f", Err: errors.New("changed while it was read")}},
		},
		"unknown directory": {
			change:   without("/srv/d", "/srv/f", "/lib"),
			opts:     Options{Unknowns: []tree.Unknown{{Path: "/srv", Err: errors.New("permission denied")}}},
			want:     []Change{{Path: "/lib", Kind: Deleted}},
			unknowns: []tree.Unknown{{Path: "/srv", Err: errors.New("permission denied")}},
		},
		"unknown root": {
			change:   without("/srv/d"),
			opts:     Options{Unknowns: []tree.Unknown{{Path: "/", Err: tree.ErrChanged}}},
			unknowns: []tree.Unknown{{Path: "/", Err: errors.New("changed while it was read")}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Compare(treeOf(t, world()...), treeOf(t, tt.change(world())...), tt.opts)
			ignore := cmpopts.IgnoreFields(Change{}, "Class", "Severity", "Reason", "Want", "Got")
			want := Report{Changes: tt.want, Unknowns: tt.unknowns}
			if diff := cmp.Diff(got, want, ignore, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			if got.Clean() != (len(tt.want)+len(tt.unknowns) == 0) {
				t.Errorf("clean is %t", got.Clean())
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// contents serves a file's content by side.
func contents(want, got string) func(Side, string) (io.ReadCloser, error) {
	return func(side Side, _ string) (io.ReadCloser, error) {
		if side == Want {
			return io.NopCloser(strings.NewReader(want)), nil
		}
		return io.NopCloser(strings.NewReader(got)), nil
	}
}

func TestCompareDiff(t *testing.T) {
	numbers := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintln(&b, "line", i)
		}
		return b.String()
	}
	tests := map[string]struct {
		path      string
		want, got string
		limit     int
		diff      string
	}{
		"edited": {
			path: "/etc/a.conf", want: "a\nb\nc\n", got: "a\nB\nc\n",
			diff: "--- a/etc/a.conf\n+++ b/etc/a.conf\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
		},
		"added": {path: "/x", got: "a\n", diff: "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+a\n"},
		"deleted": {
			path: "/x", want: "a\nb", diff: "--- a/x\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n",
		},
		"two places": {
			path: "/x", want: numbers(20), got: strings.Replace(strings.Replace(numbers(20), "line 2\n", "", 1), "line 17\n", "line 17\nmore\n", 1),
			diff: "--- a/x\n+++ b/x\n@@ -1,6 +1,5 @@\n line 0\n line 1\n-line 2\n line 3\n line 4\n line 5\n" +
				"@@ -16,5 +15,6 @@\n line 15\n line 16\n line 17\n+more\n line 18\n line 19\n",
		},
		"cut": {
			path: "/x", got: "one\ntwo\nthree\n", limit: 44,
			diff: "--- /dev/null\n+++ b/x\n@@ -0,0 +1,3 @@\n+one\n(2 more lines of the diff are not shown)\n",
		},
		"long line": {
			path: "/x", got: strings.Repeat("ab ", 200),
			diff: "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+" + strings.Repeat("ab ", 200)[:400] + "… (a line of 600 bytes)\n\\ No newline at end of file\n",
		},
		"binary": {path: "/x", want: "a\x00b", got: "a\x00bc", diff: "(binary: 3 bytes → 4 bytes)\n"},
		"large":  {path: "/x", want: "a", got: numbers(40000), diff: "(too large to compare line by line: 1 bytes → 428890 bytes)\n"},
		"escape": {path: "/x", got: "\x1b[2J\n", diff: "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+\\x1b[2J\n"},
		"secret": {
			path: "/x", want: "password: a\n", got: "password: b\n",
			diff: "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-password: [redacted value]\n+password: [redacted value]\n",
		},
		"secret by nature": {path: "/run/secrets/db", want: "a\n", got: "b\n", diff: "(content not shown: it is a mounted secret)\n"},
		"private key":      {path: "/x", got: "-----BEGIN PRIVATE KEY-----\n", diff: "(content not shown: it is a private key)\n"},
		"private key whose begin is not in the hunk": {
			path: "/x", want: "x\n-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("aaaa\n", 9) + "bbbb\n-----END PRIVATE KEY-----\n",
			got: "x\n-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("aaaa\n", 9) + "cccc\n-----END PRIVATE KEY-----\n",
			diff: "--- a/x\n+++ b/x\n@@ -9,5 +9,5 @@\n" + strings.Repeat(" [redacted private key]\n", 3) +
				"-[redacted private key]\n+[redacted private key]\n [redacted private key]\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			entry := func(content string) *tree.Entry {
				if content == "" {
					return nil
				}
				return &tree.Entry{Path: tt.path, Kind: tree.Regular, Size: int64(len(content)), Digest: content}
			}
			opts := Options{Content: contents(tt.want, tt.got), DiffLimit: tt.limit}
			r := Compare(treeOf(t, entry(tt.want)), treeOf(t, entry(tt.got)), opts)
			if diff := cmp.Diff(r.Changes[0].Diff, tt.diff); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestCompareTellsClassFromContent(t *testing.T) {
	entry := &tree.Entry{Path: "/srv/x", Kind: tree.Regular, Size: 9, Digest: "x"}
	other := &tree.Entry{Path: "/srv/x", Kind: tree.Regular, Size: 9, Digest: "y"}
	tests := map[string]struct{ want, got string }{
		"became a program": {"some text", "\x7fELF....."},
		"was a program":    {"\x7fELF.....", "some text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := Compare(treeOf(t, entry), treeOf(t, other), Options{Content: contents(tt.want, tt.got)})
			if c := r.Changes[0]; c.Class != Executable || c.Severity != High {
				t.Errorf("got %s, %s", c.Class, c.Severity)
			}
		})
	}
}

func TestCompareWithoutReadableContent(t *testing.T) {
	opts := Options{Content: func(Side, string) (io.ReadCloser, error) { return nil, errors.New("i/o error") }}
	r := Compare(tree.Tree{}, treeOf(t, &tree.Entry{Path: "/a.sh", Kind: tree.Regular, Size: 1, Digest: "x"}), opts)
	if c := r.Changes[0]; c.Diff != "(i/o error)\n" || c.Class != Script {
		t.Errorf("got diff %q, class %s", c.Diff, c.Class)
	}
}
