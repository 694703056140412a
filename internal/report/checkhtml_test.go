package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// readInBrowser returns the page as Chromium understands it.
func readInBrowser(t *testing.T, page []byte) string {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("no chromium; scripts/setup --test installs it")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, stderr.String())
	}
	return string(dom)
}

// The page is read by a browser as it is meant: text of a manifest adds no element, and
// nothing is loaded.
func TestCheckHTML(t *testing.T) {
	evil := "</article><script>document.title='x'</script><img src=x onerror=alert(1)>\"'`{{.}}\x00\x1b\u202e"
	var b bytes.Buffer
	s := NewCheckSummary(policy.Rules(), policy.Medium)
	s.ShowIgnored = true
	w := NewCheckHTMLWriter(&b, time.Unix(1700000000, 0), s)
	finding := func(rule string, severity policy.Severity) policy.Finding {
		return policy.Finding{
			Rule: rule, Severity: severity, Object: policy.Object{Kind: evil, Name: evil}, Container: evil, Message: evil, Path: evil, Fix: "do it",
			Place: manifest.Place{File: evil, Line: 3, Column: 4, Excerpt: evil, Before: 2, Width: 5},
		}
	}
	d := &manifest.Document{File: evil, NotUnderstood: manifest.Errors{{File: evil, Line: 9, Path: evil, Detail: evil, Hint: evil}}}
	r := policy.Result{
		Findings: []policy.Finding{finding("privileged", policy.Critical), finding("mutable-config", policy.Low)},
		Ignored:  []policy.Ignored{{Finding: finding("pull-policy", policy.Low), By: &policy.Exception{Until: evil, Owner: evil, Reason: evil}}},
	}
	if err := w.Document(d, r); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Close(1); err != nil || v != Incomplete {
		t.Fatalf("verdict %d, %v", v, err)
	}
	dom := readInBrowser(t, b.Bytes())
	for _, tag := range []string{"<script", "<img", "\x00", "\x1b", "\u202e"} {
		if strings.Contains(dom, tag) {
			t.Errorf("%q is in the page", tag)
		}
	}
	if outside := regexp.MustCompile(`(?i)<[^>]*(?:\ssrc|\shref|\saction)="[^#][^>]*>|url\(|@import`).FindString(dom); outside != "" {
		t.Errorf("the page refers to something else: %s", outside)
	}
	for want, times := range map[string]int{
		`<article class="finding critical">`: 1, `<article class="finding low">`: 2, "</article>": 3, "<h1>": 1, "<mark>": 3, "<strong>Ignored:</strong>": 1,
		`id="rule-privileged"`: 1, `id="rule-mutable-config"`: 1, `id="rule-pull-policy"`: 1, `id="rule-proc-unmasked"`: 0, `<td class="what">not understood</td>`: 1, "<caption>": 3,
		"does not fail": 1,
	} {
		if got := strings.Count(dom, want); got != times {
			t.Errorf("%d times %s, want %d", got, want, times)
		}
	}
	if !strings.Contains(dom, "<title>adamant check: Incomplete") {
		t.Error("the title is another one")
	}
}

// A page lists the most severe findings, and counts all of them.
func TestCheckHTMLIsBounded(t *testing.T) {
	var b bytes.Buffer
	w := NewCheckHTMLWriter(&b, time.Unix(1700000000, 0), NewCheckSummary(policy.Rules(), policy.Low))
	for _, severity := range []policy.Severity{policy.Low, policy.Medium, policy.Critical} {
		for range maxOnPage - 1 {
			d := &manifest.Document{File: "a.yaml", NotUnderstood: manifest.Errors{{File: "a.yaml", Line: 1, Detail: "not YAML"}}}
			f := policy.Finding{Rule: "privileged", Severity: severity, Message: "m", Place: manifest.Place{File: "a.yaml", Line: 1, Column: 1}}
			if err := w.Document(d, policy.Result{Findings: []policy.Finding{f}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(1); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for want, times := range map[string]int{
		`<article class="finding critical">`: maxOnPage - 1, `<article class="finding medium">`: 1, `<article class="finding low">`: 0,
		"The 2000 most severe findings are listed, and 3997 more are not.": 1, ">not understood</td>": maxOnPage, "3997 more problems are not listed": 1,
	} {
		if got := strings.Count(page, want); got != times {
			t.Errorf("%d times %s, want %d", got, want, times)
		}
	}
}

func TestCheckHTMLWithoutFindings(t *testing.T) {
	var b bytes.Buffer
	if v := checkAll(t, NewCheckHTMLWriter(&b, time.Now(), NewCheckSummary(policy.Rules(), policy.Low)), "kind: Service\n"); v != Clean {
		t.Errorf("verdict %d", v)
	}
	if !strings.Contains(b.String(), "Nothing mutable was found") || strings.Contains(b.String(), "<article") || strings.Contains(b.String(), `id="rules"`) {
		t.Errorf("got %s", b.String())
	}
}
