package drift

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A change cannot be hidden behind many others, and the number of those that are not
// listed is reported.
func TestManyChanges(t *testing.T) {
	const others = 3 * maxListed
	var paths []string
	for i := range others {
		paths = append(paths, fmt.Sprintf("/srv/data%06d", i))
	}
	paths = append(paths, "/srv/z/a/path/that/is/longer/than/the/others/hook.sh")
	report := func(paths []string) Report {
		c := NewComparison(0)
		for _, path := range paths {
			c.Add(Pair{Got: &tree.Entry{Path: path, Kind: tree.Regular}})
		}
		return c.Report()
	}
	got := report(paths)
	if n := len(got.Changes); n != maxListed {
		t.Errorf("%d changes are listed, want %d", n, maxListed)
	}
	if diff := cmp.Diff(got.Omitted, map[Severity]int{Low: others - maxListed + 1}); diff != "" || got.Len() != others+1 {
		t.Errorf("of %d changes are omitted (-got +want):\n%s", got.Len(), diff)
	}
	if diff := cmp.Diff(got.Counts(), map[Severity]int{High: 1, Low: others}); diff != "" {
		t.Errorf("counts (-got +want):\n%s", diff)
	}
	if ch := got.Changes[maxListed-1]; ch.Severity != High || ch.Class != Script {
		t.Errorf("the script is not listed: %+v", ch)
	}
	// What is listed does not depend on the order in which changes are found.
	slices.Reverse(paths)
	if diff := cmp.Diff(report(paths), got); diff != "" {
		t.Errorf("in reverse (-got +want):\n%s", diff)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	if diff := cmp.Diff(report(paths), got); diff != "" {
		t.Errorf("shuffled (-got +want):\n%s", diff)
	}
}

// Only a path that is listed is made, and one that is too long for a report is counted.
func TestLongPaths(t *testing.T) {
	made := 0
	c := NewComparison(0)
	add := func(name string, size int, mode uint32) {
		c.Add(Pair{
			Got:  &tree.Entry{Path: "/srv/" + name, Kind: tree.Regular, Mode: mode},
			Size: size,
			Path: func() string {
				made++
				return "/srv/" + strings.Repeat("d", size-len(name)-6) + "/" + name
			},
		})
	}
	for i := range 100 {
		add(fmt.Sprintf("data%02d", i), maxBytes/4, 0o644)
	}
	add("tool", maxBytes/2, 0o755)
	add("huge", maxBytes+1, 0o755)
	r := c.Report()
	if diff := cmp.Diff(r.Omitted, map[Severity]int{High: 1, Low: 98}); diff != "" {
		t.Errorf("omitted (-got +want):\n%s", diff)
	}
	var sizes []int
	for _, ch := range r.Changes {
		sizes = append(sizes, len(ch.Path))
	}
	if diff := cmp.Diff(sizes, []int{maxBytes / 4, maxBytes / 4, maxBytes / 2}); diff != "" {
		t.Errorf("lengths of the paths (-got +want):\n%s", diff)
	}
	if made > 20 {
		t.Errorf("%d paths were made", made)
	}
}

func TestManyUnknowns(t *testing.T) {
	c := NewComparison(0)
	for i := range maxUnknowns + 5 {
		c.Unknown(fmt.Sprint("/", i), tree.ErrChanged)
		c.Unknown(fmt.Sprint("/", i), tree.ErrChanged) // counts once
	}
	if r := c.Report(); len(r.Unknowns) != maxUnknowns || r.UnknownLen() != maxUnknowns+5 || r.Clean() {
		t.Errorf("%d of %d unknowns are listed", len(r.Unknowns), r.UnknownLen())
	}
}
