package compare

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

func TestChangesOfOneServer(t *testing.T) {
	before, err := facts.ScanRoot(t.Context(), disk.Debian("a").With(disk.Files{"/opt/old/x": "1", "/srv/a": "a"}).Root(t), facts.ScanOptions{})
	must(t, err)
	root := disk.Debian("a").With(disk.Files{"/opt/new/y": "2", "/srv/a/b": "a", "/etc/web.conf": "listen 81\n", "/usr/bin/git": "-"}).Root(t)
	after, err := facts.ScanRoot(t.Context(), root, facts.ScanOptions{})
	must(t, err)
	got, err := FileChanges(before, after)
	must(t, err)
	var lines []string
	for _, c := range got {
		mark := "~"
		switch {
		case c.Before == "":
			mark = "+"
		case c.After == "":
			mark = "-"
		}
		lines = append(lines, mark+c.Path)
	}
	want := []string{"~/etc/web.conf", "+/opt/new", "+/opt/new/y", "-/opt/old", "-/opt/old/x", "~/srv/a", "+/srv/a/b", "-/usr/bin/git"}
	if diff := cmp.Diff(lines, want); diff != "" {
		t.Error("got, want:\n", diff)
	}
	i := slices.IndexFunc(got, func(c FileChange) bool { return c.Path == "/etc/web.conf" })
	if diff := cmp.Diff(got[i].Fields, []string{"content"}); diff != "" {
		t.Error("got, want:\n", diff)
	}
	if same, err := FileChanges(after, after); err != nil || len(same) > 0 {
		t.Errorf("a server differs from itself: %v, %v", same, err)
	}
}

func TestFactChanges(t *testing.T) {
	before := []facts.Fact{fact(facts.Package, "a", "1"), fact(facts.Package, "b", "1"), fact(facts.User, "eve", "uid 1")}
	after := []facts.Fact{fact(facts.Package, "a", "2"), fact(facts.Package, "c", "1"), fact(facts.User, "eve", "uid 1")}
	want := []FactChange{{facts.Package, "a", "1", "2"}, {facts.Package, "b", "1", ""}, {facts.Package, "c", "", "1"}}
	if diff := cmp.Diff(FactChanges(before, after), want); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

// Facts with the same key do not hide each other, and are no change by their order.
func TestFactChangesOfEqualKeys(t *testing.T) {
	daily, weekly := fact(facts.Cron, "man-db", "daily"), fact(facts.Cron, "man-db", "weekly")
	for name, tc := range map[string]struct {
		before, after []facts.Fact
		want          []FactChange
	}{
		"equal":       {[]facts.Fact{daily, weekly}, []facts.Fact{daily, weekly}, nil},
		"other order": {[]facts.Fact{daily, weekly}, []facts.Fact{weekly, daily}, nil},
		"one is gone": {[]facts.Fact{daily, weekly}, []facts.Fact{weekly}, []FactChange{{facts.Cron, "man-db", "daily", ""}}},
		"one is new":  {[]facts.Fact{daily}, []facts.Fact{daily, weekly}, []FactChange{{facts.Cron, "man-db", "", "weekly"}}},
		"one changed": {[]facts.Fact{daily, weekly}, []facts.Fact{weekly, fact(facts.Cron, "man-db", "hourly")}, []FactChange{{facts.Cron, "man-db", "daily", "hourly"}}},
	} {
		if diff := cmp.Diff(FactChanges(tc.before, tc.after), tc.want); diff != "" {
			t.Errorf("%s: got, want:\n%s", name, diff)
		}
	}
}
