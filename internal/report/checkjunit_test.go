package report

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// A junitReport is what a reader of JUnit's XML takes from it.
type junitReport struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Class   string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
		Out string `xml:"system-out"`
		Err string `xml:"system-err"`
	} `xml:"testsuite"`
}

func checkJUnit(t *testing.T, failOn policy.Severity, text string) (junitReport, Verdict) {
	t.Helper()
	var b bytes.Buffer
	v := checkAll(t, NewCheckJUnitWriter(&b, NewCheckSummary(policy.Rules(), failOn)), text)
	return readJUnit(t, b.String()), v
}

func readJUnit(t *testing.T, document string) junitReport {
	t.Helper()
	if strings.ContainsAny(document, "\x1b\x00\u202e\ufffe") {
		t.Errorf("got %q", document)
	}
	var r junitReport
	if err := xml.Unmarshal([]byte(document), &r); err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	for _, s := range r.Suites {
		got := [4]int{len(s.Cases)}
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil:
				got[1]++
			case c.Error != nil:
				got[2]++
			case c.Skipped != nil:
				got[3]++
			}
		}
		if want := [4]int{s.Tests, s.Failures, s.Errors, s.Skipped}; got != want {
			t.Errorf("suite %s has %v tests, failures, errors and skipped ones, and names %v", s.Name, got, want)
		}
	}
	return r
}

func TestCheckJUnit(t *testing.T) {
	r, verdict := checkJUnit(t, policy.Medium, checked+"---\nkind: Service\nmetadata: {name: web}\n")
	if verdict != Incomplete {
		t.Errorf("verdict %d", verdict)
	}
	var got []string
	for _, c := range r.Suites[0].Cases {
		state := "passed"
		switch {
		case c.Failure != nil:
			state = "failed"
		case c.Error != nil:
			state = "error"
		case c.Skipped != nil:
			state = "skipped"
		}
		got = append(got, state+" "+c.Class+" "+c.Name)
	}
	pod := `Pod a<b>\x1b[31m spec.`
	want := []string{
		"failed x.yaml root-not-read-only: " + pod + "containers[0].securityContext.readOnlyRootFilesystem",
		"failed x.yaml image-not-pinned: " + pod + "containers[0].image",
		"failed x.yaml privilege-escalation: " + pod + "containers[0].securityContext.allowPrivilegeEscalation",
		"failed x.yaml host-namespace: " + pod + "hostPID",
		"skipped x.yaml automount-token: " + pod + "automountServiceAccountToken",
		"error x.yaml not understood: line 6",
		"passed x.yaml Service web",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	if !strings.Contains(r.Suites[0].Err, "ambiguous: duplicate key") {
		t.Errorf("got %q", r.Suites[0].Err)
	}
	last := r.Suites[len(r.Suites)-1]
	if !strings.Contains(last.Out, "3 documents in 1 file: 1 checked, 1 without a pod template, 1 not understood") {
		t.Errorf("got %q", last.Out)
	}
}

// Characters that XML does not have are replaced, and each file is a suite.
func TestCheckJUnitHostile(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckJUnitWriter(&b, NewCheckSummary(policy.Rules(), policy.Low))
	evil := "a\x00\x1b[31m]]><failure/>\ufffe\xff\ud7ff\u202e\n&amp;"
	for _, file := range []string{"a.yaml", evil} {
		d := &manifest.Document{File: file, Line: 1, NotUnderstood: manifest.Errors{{File: file, Detail: evil, Path: evil, Hint: evil}}, Ambiguous: manifest.Errors{{File: file, Line: 1, Detail: evil}}}
		f := policy.Finding{Rule: "r", Severity: policy.Low, Object: policy.Object{Name: evil, Kind: evil}, Message: evil, Fix: evil, Path: evil, Place: manifest.Place{File: file, Line: 1, Excerpt: evil}}
		if err := w.Document(d, policy.Result{Findings: []policy.Finding{f}, Omitted: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(2); err != nil {
		t.Fatal(err)
	}
	r := readJUnit(t, b.String())
	if len(r.Suites) != 3 || r.Suites[1].Tests != 2 || r.Suites[2].Errors != 1 {
		t.Errorf("got %+v", r.Suites)
	}
}

// A file with many findings is several suites, so that memory is bounded.
func TestCheckJUnitIsBounded(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckJUnitWriter(&b, NewCheckSummary(policy.Rules(), policy.Low))
	for range maxCases + 1 {
		if err := w.Document(&manifest.Document{File: "a.yaml", Line: 1}, policy.Result{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	r := readJUnit(t, b.String())
	if len(r.Suites) != 3 || r.Suites[0].Name != "a.yaml" || r.Suites[0].Tests != maxCases || r.Suites[1].Name != "a.yaml" || r.Suites[1].Tests != 1 {
		t.Errorf("%d suites", len(r.Suites))
	}
}
