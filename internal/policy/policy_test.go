package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// read returns the documents of a text.
func read(t testing.TB, name, text string) []manifest.Document {
	t.Helper()
	var all []manifest.Document
	s := manifest.NewSplitter(strings.NewReader(text))
	for {
		chunk, err := s.Next()
		if err != nil {
			return all
		}
		for _, d := range manifest.ReadDocuments(name, chunk.Line, chunk.Data) {
			if len(d.NotUnderstood) > 0 {
				t.Errorf("not understood: %v", d.NotUnderstood)
			}
			all = append(all, d)
		}
	}
}

// findings returns the findings of one rule. Those about exceptions need the others.
func findings(rule Rule, d *manifest.Document) []Finding {
	if !IsAboutExceptions(rule.ID) {
		return Checker{Rules: []Rule{rule}, Needs: needsIn(d)}.Check(d).Findings
	}
	found := Checker{Rules: Rules(), Today: "2026-11-30"}.Check(d).Findings
	return slices.DeleteFunc(found, func(f Finding) bool { return f.Rule != rule.ID })
}

// TestRules compares the findings of each rule with the comments in its file of good and
// bad manifests: each line that a finding is expected at has a comment "want: MESSAGE", or
// several, separated by ;;.
func TestRules(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			name := filepath.Join("testdata/rules", rule.ID+".yaml")
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := map[int][]string{}
			for i, line := range strings.Split(string(data), "\n") {
				if _, messages, ok := strings.Cut(line, "# want: "); ok {
					want[i+1] = strings.Split(messages, " ;; ")
				}
			}
			if len(want) == 0 {
				t.Error("no bad manifest")
			}
			good := 0
			for _, d := range read(t, name, string(data)) {
				found := findings(rule, &d)
				if len(found) == 0 {
					good++
				}
				for _, f := range found {
					message := f.Message
					if f.Container != "" {
						message = "container " + f.Container + ": " + message
					}
					i := slices.IndexFunc(want[f.Place.Line], func(w string) bool { return strings.Contains(message, w) })
					if i < 0 {
						t.Errorf("%s:%d:%d: %s: not expected", name, f.Place.Line, f.Place.Column, message)
						continue
					}
					want[f.Place.Line] = slices.Delete(want[f.Place.Line], i, i+1)
					if f.Place.Excerpt == "" || f.Place.Width == 0 || f.Path == "" || f.Fix == "" || f.Severity != rule.Severity {
						t.Errorf("incomplete: %+v", f)
					}
				}
			}
			if good == 0 && !slices.Contains([]string{"unbounded-volume", "host-path-writable", "proc-unmasked"}, rule.ID) {
				t.Error("no good manifest")
			}
			for line, messages := range want {
				for _, m := range messages {
					t.Errorf("%s:%d: not found: %s", name, line, m)
				}
			}
		})
	}
}

// TestRulesAreDocumented checks that each rule has all of its texts, and a section in
// docs/reference/check.md.
func TestRulesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/check.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.ID] {
			t.Errorf("%s is there twice", r.ID)
		}
		seen[r.ID] = true
		if r.Title == "" || r.Reason == "" || r.Fix == "" || r.Decides == "" || len(r.References) == 0 || r.Severity < Low {
			t.Errorf("%s is incomplete", r.ID)
		}
		if !strings.Contains(string(page), fmt.Sprintf("| `%s` | %s |", r.ID, r.Severity)) {
			t.Errorf("docs/reference/check.md has no line for %s (%s)", r.ID, r.Severity)
		}
	}
}

func TestSelect(t *testing.T) {
	all, err := Select(nil)
	if err != nil || len(all) != len(Rules()) {
		t.Errorf("got %d rules, %v", len(all), err)
	}
	two, err := Select([]string{"privileged", "root-not-read-only"})
	if err != nil || len(two) != 2 || two[0].ID != "root-not-read-only" {
		t.Errorf("got %v, %v", two, err)
	}
	for id, want := range map[string]string{
		"root-not-readonly": `unknown rule "root-not-readonly": did you mean root-not-read-only?`,
		"x":                 `unknown rule "x": adamant explain lists them`,
	} {
		if _, err := Select([]string{id}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestPaths checks the path of a finding, also of a field that is missing.
func TestPaths(t *testing.T) {
	text := `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
      - {name: a, image: i}
      volumes:
      - {name: v}
`
	var got []string
	for _, d := range read(t, "x.yaml", text) {
		for _, f := range Check(Rules(), &d).Findings {
			got = append(got, fmt.Sprintf("%d:%d %s %s", f.Place.Line, f.Place.Column, f.Rule, f.Path))
			if f.Object != (Object{"argoproj.io/v1alpha1", "Rollout", "shop", "web"}) {
				t.Errorf("got %v", f.Object)
			}
		}
	}
	want := []string{
		"8:9 root-not-read-only spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem",
		"8:19 image-not-pinned spec.template.spec.containers[0].image",
		"8:9 privilege-escalation spec.template.spec.containers[0].securityContext.allowPrivilegeEscalation",
		"10:9 unbounded-volume spec.template.spec.volumes[0].emptyDir.sizeLimit",
		"6:5 automount-token spec.template.spec.automountServiceAccountToken",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
}
