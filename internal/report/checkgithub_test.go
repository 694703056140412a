package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

func TestCheckGitHub(t *testing.T) {
	var b bytes.Buffer
	if v := checkAll(t, NewCheckGitHubWriter(&b, NewCheckSummary(policy.Rules(), policy.Low)), checked); v != Incomplete {
		t.Errorf("verdict %d", v)
	}
	for _, want := range []string{
		"::error title=root-not-read-only (high),file=x.yaml,line=4,col=21,endColumn=48::container c: the root file system can be written: readOnlyRootFilesystem is not set%0AFix: set ",
		"::warning title=image-not-pinned (medium),file=x.yaml,line=4,",
		"::notice title=automount-token (low),file=x.yaml,line=4,",
		"::error title=not understood,file=x.yaml,line=6,col=1::not YAML: ",
		"::warning title=ambiguous,file=x.yaml,line=4,",
		"::notice title=adamant check::2 documents in 1 file: 1 checked, 0 without a pod template, 1 not understood%0A",
	} {
		if !strings.Contains("\n"+b.String(), "\n"+want) {
			t.Errorf("got\n%s\nwant in it\n%s", b.String(), want)
		}
	}
}

// Text of a manifest, and names of files, can neither end a command nor add a property.
func TestCheckGitHubEscapes(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckGitHubWriter(&b, NewCheckSummary(policy.Rules(), policy.Low))
	evil := "a\n::add-mask::b\r::warning::c,title=d::e%0Af\x1b[31m\u0085\u2028::error::g"
	d := &manifest.Document{File: evil, NotUnderstood: manifest.Errors{{File: evil, Line: 1, Detail: evil, Hint: evil}}}
	finding := policy.Finding{Rule: "r", Severity: policy.Low, Container: evil, Message: evil, Fix: evil, Place: manifest.Place{File: evil, Line: 2}}
	if err := w.Document(d, policy.Result{Findings: []policy.Finding{finding}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	command := regexp.MustCompile(`^::(error|warning|notice) title=[^:,]+(,file=[^:,]+,line=[0-9]+,col=[0-9]+)?::[^\r\x1b\x{85}\x{2028}]*$`)
	for _, l := range lines {
		if !command.MatchString(l) {
			t.Errorf("got %q", l)
		}
		if strings.Contains(strings.ReplaceAll(l, "%0A", ""), "%0") {
			t.Errorf("an escape of the manifest is one of GitHub: %q", l)
		}
	}
}
