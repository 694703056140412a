package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// documents returns all documents of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "bench/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	if len(documents) == 0 {
		t.Fatal("found no documents")
	}
	return documents
}

var picture = regexp.MustCompile(`(?:srcset|src)="([^"]+)"`)

// The files and headings that a document links to exist.
func TestDocumentsLinkToWhatExists(t *testing.T) {
	links := 0
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range append(link.FindAllSubmatch(text, -1), picture.FindAllSubmatch(text, -1)...) {
			target, anchor, _ := strings.Cut(string(m[1]), "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			path := filepath.Join(filepath.Dir(name), target)
			if target == "" {
				path = name
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
				continue
			}
			if anchor != "" && !hasHeading(t, path, anchor) {
				t.Errorf("%s: link to %s: no such heading", name, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("found no links")
	}
}

// A section is a heading of a document.
type section struct {
	level  int // 1 for #
	anchor string
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// sections returns the headings of a document, with their anchors as GitHub
// makes them.
func sections(t *testing.T, name string) []section {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []section
	code := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		heading := strings.TrimLeft(line, "#")
		level := len(line) - len(heading)
		if code || level == 0 || !strings.HasPrefix(heading, " ") {
			continue
		}
		heading = strings.ToLower(strings.TrimSpace(heading))
		all = append(all, section{level, strings.ReplaceAll(notInAnchors.ReplaceAllString(heading, ""), " ", "-")})
	}
	return all
}

func hasHeading(t *testing.T, name, anchor string) bool {
	t.Helper()
	return slices.ContainsFunc(sections(t, name), func(s section) bool { return s.anchor == anchor })
}

// A second heading of the same name would get another anchor, and links to it
// would lead to the first.
func TestHeadingsAreUnique(t *testing.T) {
	for _, name := range documents(t) {
		if filepath.Base(name) == "CHANGELOG.md" {
			continue // each release has the same headings
		}
		seen := map[string]bool{}
		for _, s := range sections(t, name) {
			if seen[s.anchor] {
				t.Errorf("%s: two headings have the anchor #%s", name, s.anchor)
			}
			seen[s.anchor] = true
		}
	}
}

// contents is the list of a document's sections, up to the next empty line.
var contents = regexp.MustCompile(`(?ms)^Contents: (.*?)\n\n`)

// A document with contents lists each of its sections once, in their order. One
// in docs with more than four sections has contents.
func TestContentsAgreeWithHeadings(t *testing.T) {
	for _, name := range documents(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, s := range sections(t, name) {
			if s.level == 2 {
				want = append(want, s.anchor)
			}
		}
		lists := contents.FindAllSubmatch(text, -1)
		switch {
		case len(lists) > 1:
			t.Errorf("%s has its contents %d times", name, len(lists))
			continue
		case len(lists) == 0:
			if strings.HasPrefix(name, filepath.Join("..", "docs")) && len(want) > 4 {
				t.Errorf("%s has %d sections and no contents", name, len(want))
			}
			continue
		}
		var got []string
		for _, m := range link.FindAllSubmatch(lists[0][1], -1) {
			got = append(got, strings.TrimPrefix(string(m[1]), "#"))
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%s: contents and sections differ (-contents +sections):\n%s", name, diff)
		}
	}
}

// namesRow is a row of the table of names in the design.
var namesRow = regexp.MustCompile("(?m)^\\| (`adamant[^|]*) \\| ([^|]*) \\|")

// Each name that Adamant uses for one place is explained once.
func TestNamesAreExplainedOnce(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, names, found := strings.Cut(string(text), "\n## Names\n")
	if !found {
		t.Fatal("the design has no section with names")
	}
	names, _, _ = strings.Cut(names, "\n## ")
	seen := map[string]bool{}
	for _, m := range namesRow.FindAllStringSubmatch(names, -1) {
		if seen[m[1]] {
			t.Errorf("docs/design.md: the name %s has two rows", m[1])
		}
		seen[m[1]] = true
	}
	if len(seen) == 0 {
		t.Error("found no names")
	}
}

// The tables of groups and doors in the design are those that the architecture
// test enforces.
func TestDesignHasGroupsAndDoors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, plan, _ := strings.Cut(string(text), "\n## Packages\n")
	plan, _, _ = strings.Cut(plan, "\n## ")
	groups, entries, found := strings.Cut(plan, "\nThe doors, ")
	if !found {
		t.Fatal("docs/design.md has no table of doors")
	}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\S")
	rows := func(table string) (packages []string) {
		for _, m := range row.FindAllStringSubmatch(table, -1) {
			packages = append(packages, m[1])
		}
		slices.Sort(packages)
		return packages
	}

	var want []string
	for _, l := range layers {
		for _, p := range l.packages {
			if g, _ := group(p); g != "" {
				p = g
			}
			want = append(want, p)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if diff := cmp.Diff(rows(groups), want); diff != "" {
		t.Errorf("docs/design.md: the table of groups must have the groups of layers in internal/architecture_test.go (-design +test):\n%s", diff)
	}
	var open []string
	for door, reason := range doors {
		if reason != "to be closed" {
			open = append(open, door)
		}
	}
	slices.Sort(open)
	if diff := cmp.Diff(rows(entries), open); diff != "" {
		t.Errorf("docs/design.md: the table of doors must have the doors of internal/architecture_test.go (-design +test):\n%s", diff)
	}
}
