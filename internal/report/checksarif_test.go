package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// schemaOfSARIF returns the schema of SARIF 2.1.0, which is a constant in the source of
// go-sarif. Its own Validate would validate what go-sarif would write.
var schemaOfSARIF = sync.OnceValues(func() (*jsonschema.Schema, error) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		return nil, fmt.Errorf("find go-sarif: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var text string
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text, err = strconv.Unquote(l.Value)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, v); err != nil {
		return nil, err
	}
	return c.Compile(sarifSchema)
})

// readSARIF validates a document against the schema of SARIF 2.1.0, and reads it.
func readSARIF(t *testing.T, document []byte) *sarif.Run {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	schema, err := schemaOfSARIF()
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Fatal(err)
	}
	if schema.Validate(map[string]any{"version": "2.1.0", "runs": []any{map[string]any{}}}) == nil {
		t.Fatal("a run without a tool is valid")
	}
	r, err := sarif.FromBytes(document)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 1 {
		t.Fatalf("%d runs", len(r.Runs))
	}
	return r.Runs[0]
}

func checkSARIF(t *testing.T, text string) (*sarif.Run, Verdict) {
	t.Helper()
	var b bytes.Buffer
	v := checkAll(t, NewCheckSARIFWriter(&b, policy.Rules(), NewCheckSummary(policy.Rules(), policy.Low)), text)
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("got %q", b.String())
	}
	return readSARIF(t, b.Bytes()), v
}

// Each finding has its rule and the place of its field, and what was not understood is a
// notification of a run that did not succeed.
func TestCheckSARIF(t *testing.T) {
	run, verdict := checkSARIF(t, checked)
	if verdict != Incomplete {
		t.Errorf("verdict %d", verdict)
	}
	if n := len(run.Tool.Driver.Rules); n != len(policy.Rules()) {
		t.Errorf("%d rules", n)
	}
	for _, r := range run.Results {
		if rule := run.Tool.Driver.Rules[r.RuleIndex]; *rule.ID != *r.RuleID || rule.DefaultConfiguration.Level != r.Level {
			t.Errorf("result of %s (%s) refers to rule %s (%s)", *r.RuleID, r.Level, *rule.ID, rule.DefaultConfiguration.Level)
		}
	}
	one := run.Results[0]
	region := one.Locations[0].PhysicalLocation.Region
	got := []any{*one.RuleID, *one.Locations[0].PhysicalLocation.ArtifactLocation.URI, *region.StartLine, *region.StartColumn, *region.EndColumn}
	if d := cmp.Diff(got, []any{"root-not-read-only", "x.yaml", 4, 21, 48}); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	var names []string
	for _, l := range one.Locations[0].LogicalLocations {
		names = append(names, *l.Kind+" "+*l.FullyQualifiedName)
	}
	want := []string{`resource v1/Pod/a<b>\x1b[31m`, `object v1/Pod/a<b>\x1b[31m/c`, `property v1/Pod/a<b>\x1b[31m/spec.containers[0].securityContext.readOnlyRootFilesystem`}
	if d := cmp.Diff(names, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	invocation := run.Invocations[0]
	if *invocation.ExecutionSuccessful || *invocation.ExitCode != 4 {
		t.Errorf("successful %v with exit code %d", *invocation.ExecutionSuccessful, *invocation.ExitCode)
	}
	var notes []string
	for _, n := range invocation.ToolExecutionNotifications {
		notes = append(notes, *n.Descriptor.ID+" "+n.Level)
	}
	if d := cmp.Diff(notes, []string{"ambiguous warning", "not-understood error", "summary note"}); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if line := *invocation.ToolExecutionNotifications[1].Locations[0].PhysicalLocation.Region.StartLine; line != 6 {
		t.Errorf("not understood at line %d", line)
	}
}

// Fingerprints stay the same when lines are inserted above, and differ within a document.
func TestCheckSARIFFingerprints(t *testing.T) {
	before, _ := checkSARIF(t, checked)
	after, _ := checkSARIF(t, strings.Repeat("# a line\n", 50)+checked)
	seen := map[string]bool{}
	for i, r := range before.Results {
		got, want := after.Results[i].PartialFingerprints["adamant/v1"], r.PartialFingerprints["adamant/v1"]
		if got != want || want == "" || seen[want] {
			t.Errorf("%s: fingerprint %q, was %q", *r.RuleID, got, want)
		}
		seen[want] = true
		if line := *after.Results[i].Locations[0].PhysicalLocation.Region.StartLine; line != *r.Locations[0].PhysicalLocation.Region.StartLine+50 {
			t.Errorf("%s: line %d", *r.RuleID, line)
		}
	}
}

const fixable = `kind: Pod
apiVersion: v1
metadata: {name: ü}
spec:
  containers:
  - name: "c" # first
    image: i
  - {name: d, image: "i@sha256:0123456789012345678901234567890123456789012345678901234567890123", imagePullPolicy: Always, securityContext: {privileged: true}}
  - securityContext: # none
    name: e
  hostPID: true
  # the end
`

// A fix that is applied as a reader would apply it removes its finding and no other one.
func TestCheckSARIFFixes(t *testing.T) {
	run, _ := checkSARIF(t, fixable)
	before := map[string]bool{}
	for _, r := range run.Results {
		before[r.PartialFingerprints["adamant/v1"]] = true
	}
	fixes := 0
	for _, r := range run.Results {
		if len(r.Fixes) == 0 {
			continue
		}
		fixes++
		lines := strings.SplitAfter(fixable, "\n")
		offset := func(line, column int) int {
			return len(strings.Join(lines[:line-1], "")) + len(string([]rune(lines[line-1])[:column-1]))
		}
		edited := fixable
		replacements := r.Fixes[0].ArtifactChanges[0].Replacements
		for _, one := range slices.Backward(replacements) {
			region, text := one.DeletedRegion, ""
			if one.InsertedContent != nil {
				text = *one.InsertedContent.Text
			}
			edited = edited[:offset(*region.StartLine, *region.StartColumn)] + text + edited[offset(*region.EndLine, *region.EndColumn):]
		}
		after, verdict := checkSARIF(t, edited)
		own := r.PartialFingerprints["adamant/v1"]
		if verdict == Incomplete || len(after.Results) != len(run.Results)-1 {
			t.Errorf("%s: verdict %d with %d findings, had %d:\n%s", *r.RuleID, verdict, len(after.Results), len(run.Results), edited)
		}
		for _, other := range after.Results {
			if id := other.PartialFingerprints["adamant/v1"]; id == own || !before[id] {
				t.Errorf("%s: the finding is still there or is another one:\n%s", *r.RuleID, edited)
			}
		}
	}
	if fixes != 10 {
		t.Errorf("%d fixes of %d findings", fixes, len(run.Results))
	}
}

const ignoring = `apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {adamant.sh/ignore.image-not-pinned: "until=2027-03-31; owner=team-a; reason=TICKET-1"}}
spec: {containers: [{name: c, image: i}]}
`

// What an exception ignores is counted in each format, and shown as ignored if that is
// asked for.
func TestCheckFormatsIgnored(t *testing.T) {
	for _, show := range []bool{false, true} {
		var out [5]bytes.Buffer
		s := NewCheckSummary(policy.Rules(), policy.Low)
		s.ShowIgnored = show
		for i, w := range []CheckWriter{
			NewCheckSARIFWriter(&out[0], policy.Rules(), s), NewCheckGitHubWriter(&out[1], s), NewCheckJUnitWriter(&out[2], s),
			NewCheckOpenReportsWriter(&out[3], nil, time.Now(), s), NewCheckHTMLWriter(&out[4], time.Now(), s),
		} {
			d := manifest.ReadDocuments("x.yaml", 1, []byte(ignoring))[0]
			if err := w.Document(&d, policy.Checker{Rules: policy.Rules(), Today: "2026-11-30"}.Check(&d)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Close(1); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out[i].String(), "TICKET-1"); got != show {
				t.Errorf("%T: the reason is there: %v, want %v", w, got, show)
			}
			if !strings.Contains(out[i].String(), "1 finding more ignored by exceptions") {
				t.Errorf("%T does not count what is ignored", w)
			}
		}
		suppressed := 0
		for _, r := range readSARIF(t, out[0].Bytes()).Results {
			if len(r.Suppressions) > 0 && *r.Suppressions[0].Kind == "inSource" && *r.Suppressions[0].Location.PhysicalLocation.Region.StartLine == 3 {
				suppressed++
			}
		}
		skipped := readJUnit(t, out[2].String()).Suites[0].Skipped
		reported := readReports(t, out[3].Bytes())[0].Summary.Skip
		if want := map[bool]int{true: 1}[show]; suppressed != want || skipped != want || reported != want {
			t.Errorf("%d suppressed, %d skipped and %d reported, want %d", suppressed, skipped, reported, want)
		}
	}
}

// What is in a baseline is counted in each format, and shown if that is asked for.
func TestCheckFormatsBaseline(t *testing.T) {
	var out [5]bytes.Buffer
	for i := range out {
		s := NewCheckSummary(policy.Rules(), policy.Low)
		s.ShowIgnored, s.Baseline = true, &CheckBaseline{File: "old.baseline"}
		w := []CheckWriter{
			NewCheckSARIFWriter(&out[0], policy.Rules(), s), NewCheckGitHubWriter(&out[1], s), NewCheckJUnitWriter(&out[2], s),
			NewCheckOpenReportsWriter(&out[3], nil, time.Now(), s), NewCheckHTMLWriter(&out[4], time.Now(), s),
		}[i]
		d := manifest.ReadDocuments("x.yaml", 1, []byte(ignoring))[0]
		r := policy.Check(policy.Rules(), &d)
		for _, f := range r.Findings {
			r.Ignored = append(r.Ignored, policy.Ignored{Finding: f, Baseline: "old.baseline"})
		}
		known := len(r.Findings)
		r.Findings = nil
		if err := w.Document(&d, r); err != nil {
			t.Fatal(err)
		}
		if v, err := w.Close(1); err != nil || v != Clean {
			t.Errorf("%T: verdict %d, %v", w, v, err)
		}
		if got := strings.Count(out[i].String(), "in the baseline old.baseline"); got < known+1 {
			t.Errorf("%T: %d findings are in the baseline, want %d and the count", w, got, known)
		}
	}
	for _, r := range readSARIF(t, out[0].Bytes()).Results {
		if len(r.Suppressions) != 1 || *r.Suppressions[0].Kind != "external" {
			t.Errorf("%s is not suppressed", *r.RuleID)
		}
	}
	readJUnit(t, out[2].String())
	readReports(t, out[3].Bytes())
}

// A run without findings has an empty list, because an absent one means that nothing was
// checked.
func TestCheckSARIFWithoutFindings(t *testing.T) {
	run, verdict := checkSARIF(t, "kind: Service\n")
	if run.Results == nil || len(run.Results) != 0 || verdict != Clean || !*run.Invocations[0].ExecutionSuccessful {
		t.Errorf("%d results, verdict %d", len(run.Results), verdict)
	}
}

// Text of a manifest cannot add a link to a message.
func TestCheckSARIFHasNoForeignLinks(t *testing.T) {
	run, _ := checkSARIF(t, `{"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [{"name": "[x](https://evil.example)", "image": "i"}]}}`)
	for _, r := range run.Results {
		if strings.Contains(*r.Message.Text, "](") {
			t.Errorf("got %q", *r.Message.Text)
		}
	}
}

func TestSARIFArtifact(t *testing.T) {
	for file, want := range map[string]string{
		"deploy/web.yaml":     "deploy/web.yaml",
		"./deploy//web.yaml":  "deploy/web.yaml",
		"a b/50%#?.yaml":      "a%20b/50%25%23%3F.yaml",
		"c:web.yaml":          "./c:web.yaml",
		"/srv/web.yaml":       "file:///srv/web.yaml",
		"../ü\xff.yaml":       "../%C3%BC%FF.yaml",
		"standard input":      "standard%20input",
		"//host/x\nevil.yaml": "file:///host/x%0Aevil.yaml",
	} {
		if got := sarifArtifactOf(file).URI; got != want {
			t.Errorf("%q: got %s, want %s", file, got, want)
		}
	}
}

// The counts are in the document, for whatever reads more than the results.
func TestCheckSARIFHasSummary(t *testing.T) {
	var b bytes.Buffer
	checkAll(t, NewCheckSARIFWriter(&b, policy.Rules(), NewCheckSummary(policy.Rules(), policy.High)), checked)
	var log struct {
		Runs []struct {
			Properties struct {
				Summary CheckSummary `json:"adamant/summary"`
			} `json:"properties"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if s := log.Runs[0].Properties.Summary; s.Findings == 0 || s.Failing == 0 || s.Failing == s.Findings || s.NotUnderstood != 1 {
		t.Errorf("got %+v", s)
	}
}
