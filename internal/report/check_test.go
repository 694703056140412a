package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

const checked = `apiVersion: v1
kind: Pod
metadata: {name: "a<b>\e[31m"}
spec: {containers: [{name: c, image: "i\u202e"}], hostPID: true, hostPID: yes}
---
a: [
`

func checkAll(t *testing.T, w CheckWriter, text string) Verdict {
	t.Helper()
	s := manifest.NewSplitter(strings.NewReader(text))
	for {
		chunk, err := s.Next()
		if err != nil {
			break
		}
		for _, d := range manifest.ReadDocuments("x.yaml", chunk.Line, chunk.Data) {
			if err := w.Document(&d, policy.Checker{Rules: policy.Rules(), Edits: true}.Check(&d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	v, err := w.Close(1)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The document that is written while documents are read is the same as one that is
// written at once.
func TestCheckJSONIsOneDocument(t *testing.T) {
	for _, text := range []string{checked, "", "kind: Service\n", "a: [\n"} {
		var streamed, whole bytes.Buffer
		summary := NewCheckSummary(policy.Rules(), policy.Medium)
		got := checkAll(t, NewCheckJSONWriter(&streamed, summary), text)
		want := checkAll(t, NewCheckCollector(JSONPrinter{Out: &whole}, summary), text)
		if got != want {
			t.Errorf("verdict %d, want %d", got, want)
		}
		if d := cmp.Diff(streamed.String(), whole.String()); d != "" {
			t.Errorf("(-streamed +whole):\n%s", d)
		}
		var report CheckReport
		if err := json.Unmarshal(streamed.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if len(report.Findings) != report.Summary.Findings {
			t.Errorf("%d findings, and the summary has %d", len(report.Findings), report.Summary.Findings)
		}
	}
}

func TestCheckVerdict(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		failOn policy.Severity
		want   Verdict
	}{
		"nothing":                    {"", policy.Low, Clean},
		"a finding":                  {"apiVersion: v1\nkind: ConfigMap\n", policy.Low, Findings},
		"a finding below":            {"apiVersion: v1\nkind: ConfigMap\n", policy.Medium, Clean},
		"not understood":             {"a: [\n", policy.Critical, Incomplete},
		"findings, not understood":   {checked, policy.Low, Incomplete},
		"ambiguous, no finding":      {"kind: A\nkind: A\n", policy.Low, Clean},
		"findings without a verdict": {"apiVersion: v1\nkind: Secret\n", policy.Critical, Clean},
	} {
		var b bytes.Buffer
		if got := checkAll(t, NewCheckTextWriter(TextPrinter{Out: &b}, NewCheckSummary(policy.Rules(), tt.failOn)), tt.text); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// Text has nothing that a terminal would act on, except colours if they are asked for, and
// the underline is below the value.
func TestCheckText(t *testing.T) {
	for _, color := range []bool{false, true} {
		var b bytes.Buffer
		checkAll(t, NewCheckTextWriter(TextPrinter{Out: &b, Color: color}, NewCheckSummary(policy.Rules(), policy.Low)), checked)
		plain := b.String()
		if color {
			for _, code := range []string{bold, red, green, yellow, cyan, "0"} {
				plain = strings.ReplaceAll(plain, "\x1b["+code+"m", "")
			}
			if plain == b.String() {
				t.Error("no colours")
			}
		}
		if strings.ContainsAny(plain, "\x1b\u202e") {
			t.Errorf("got %q", plain)
		}
		want := `         4 | spec: {containers: [{name: c, image: "i\u202e"}], hostPID: true, hostPID: yes}
           |                                                                  ^^^^^^^^^^^^
`
		if !strings.Contains(plain, want) {
			t.Errorf("got %s, want in it\n%s", plain, want)
		}
	}
	var tabs bytes.Buffer
	checkAll(t, NewCheckTextWriter(TextPrinter{Out: &tabs}, NewCheckSummary(policy.Rules(), policy.Low)), "{\"kind\": \"Pod\", \"apiVersion\": \"v1\", \"spec\": {\n\t\"containers\": [{\"name\": \"ü\",\t\"image\": \"i\"}]}}")
	if want := "         2 |     \"containers\": [{\"name\": \"ü\",    \"image\": \"i\"}]}}\n           |                                     ^^^^^^^^^^^^\n"; !strings.Contains(tabs.String(), want) {
		t.Errorf("got %s, want in it\n%s", tabs.String(), want)
	}
}

// Every format counts what exceptions and a baseline cover, and prints it if that is asked
// for. It never fails.
func TestCheckIgnored(t *testing.T) {
	documents := manifest.ReadDocuments("x.yaml", 1, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"))
	found := policy.Check(policy.Rules(), &documents[0]).Findings
	if len(found) != 1 {
		t.Fatalf("got %v", found)
	}
	result := policy.Result{Ignored: []policy.Ignored{
		{Finding: found[0], By: &policy.Exception{Until: "2027-03-31", Owner: "team-test", Reason: "why", Place: manifest.Place{File: "exceptions.yaml", Line: 3}}},
		{Finding: found[0], Baseline: "known.baseline"},
	}}
	for name, writer := range map[string]func(*bytes.Buffer, CheckSummary) CheckWriter{
		"text":   func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckTextWriter(TextPrinter{Out: b}, s) },
		"json":   func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckJSONWriter(b, s) },
		"yaml":   func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckCollector(YAMLPrinter{Out: b}, s) },
		"sarif":  func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckSARIFWriter(b, policy.Rules(), s) },
		"junit":  func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckJUnitWriter(b, s) },
		"github": func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckGitHubWriter(b, s) },
		"html":   func(b *bytes.Buffer, s CheckSummary) CheckWriter { return NewCheckHTMLWriter(b, time.Unix(0, 0), s) },
		"openreports": func(b *bytes.Buffer, s CheckSummary) CheckWriter {
			return NewCheckOpenReportsWriter(b, []string{"x.yaml"}, time.Unix(0, 0), s)
		},
	} {
		for _, show := range []bool{false, true} {
			s := NewCheckSummary(policy.Rules(), policy.Low)
			s.ShowIgnored, s.Baseline = show, &CheckBaseline{File: "known.baseline"}
			var b bytes.Buffer
			w := writer(&b, s)
			if err := w.Document(&documents[0], result); err != nil {
				t.Fatal(err)
			}
			v, err := w.Close(1)
			if err != nil || v != Clean {
				t.Errorf("%s: got %d, %v", name, v, err)
			}
			if !strings.Contains(b.String(), "known.baseline") {
				t.Errorf("%s: the baseline is not counted in %s", name, b.String())
			}
			if strings.Contains(b.String(), "team-test") != show {
				t.Errorf("%s: show is %t, got %s", name, show, b.String())
			}
		}
	}
}
