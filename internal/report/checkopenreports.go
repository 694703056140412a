package report

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A CheckOpenReportsWriter writes a check as a List of ClusterReports of
// openreports.io/v1alpha1, which kubectl takes. A report has about 200 KB, so that it fits
// into etcd and, for kubectl apply, into an annotation of itself. The rest is in further
// reports.
type CheckOpenReportsWriter struct {
	out     *bufio.Writer
	summary CheckSummary
	id      string // of the reports of this check
	at      OpenReportTime
	results []OpenReportResult
	size    int // of the results, as JSON
	written int // reports
}

// NewCheckOpenReportsWriter returns a writer to w for a check of these paths. Checks of
// the same paths have reports of the same names.
func NewCheckOpenReportsWriter(w io.Writer, paths []string, at time.Time, s CheckSummary) *CheckOpenReportsWriter {
	sum := sha256.Sum256([]byte(strings.Join(paths, "\x00")))
	return &CheckOpenReportsWriter{
		out: bufio.NewWriter(w), summary: s, id: hex.EncodeToString(sum[:5]), at: OpenReportTime{at.Unix(), int32(at.Nanosecond())},
	}
}

// policyCheck is the one policy that checks of manifests are about.
const policyCheck = "manifests-are-immutable"

// maxReport bounds the results of a report, in bytes of JSON. An object can have 256 KiB of
// annotations, and kubectl apply writes the whole object into one.
const maxReport = 200_000

// Document implements CheckWriter.
func (c *CheckOpenReportsWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	for _, list := range []struct {
		errs   manifest.Errors
		result string
		rule   string
	}{{d.NotUnderstood, "error", noteNotUnderstood}, {d.Ambiguous, "warn", noteAmbiguous}} {
		for _, e := range list.errs {
			if err := c.add(OpenReportResult{Rule: list.rule, Severity: "medium", Result: list.result, Message: problemText(e), Properties: placeProperties(e.File, e.Line, e.Column)}); err != nil {
				return err
			}
		}
	}
	for _, f := range r.Findings {
		if err := c.add(c.finding(f)); err != nil {
			return err
		}
	}
	if c.summary.ShowIgnored {
		for _, i := range r.Ignored {
			one := c.finding(i.Finding)
			one.Result = "skip"
			one.Properties["adamant.sh/ignored"] = ignoredText(i)
			if err := c.add(one); err != nil {
				return err
			}
		}
	}
	if r.Configuration || len(d.NotUnderstood)+len(r.Findings)+r.Omitted > 0 {
		return nil
	}
	for _, o := range d.Objects {
		pass := OpenReportResult{Result: "pass", Properties: placeProperties(d.File, d.Line, 0), Subjects: subjectsOf(policy.Object{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})}
		if err := c.add(pass); err != nil {
			return err
		}
	}
	return nil
}

func (c *CheckOpenReportsWriter) finding(f policy.Finding) OpenReportResult {
	r := OpenReportResult{
		Rule: f.Rule, Severity: f.Severity.String(), Result: "warn", Message: findingText(f), Subjects: subjectsOf(f.Object),
		Properties: placeProperties(f.Place.File, f.Place.Line, f.Place.Column),
	}
	if f.Severity >= c.summary.FailOn {
		r.Result = "fail"
	}
	if f.Container != "" {
		r.Properties["adamant.sh/container"] = text.Excerpt(f.Container, maxProperty)
	}
	r.Properties["adamant.sh/path"] = text.Excerpt(f.Path, maxProperty)
	r.Properties["adamant.sh/fix"] = f.Fix
	r.Properties["adamant.sh/fingerprint"] = f.Fingerprint()
	return r
}

func placeProperties(file string, line, column int) map[string]string {
	p := map[string]string{"adamant.sh/file": text.Excerpt(file, maxProperty)}
	if line > 0 {
		p["adamant.sh/line"] = strconv.Itoa(line)
	}
	if column > 0 {
		p["adamant.sh/column"] = strconv.Itoa(column)
	}
	return p
}

func subjectsOf(o policy.Object) []OpenReportSubject {
	if o == (policy.Object{}) {
		return nil
	}
	return []OpenReportSubject{{
		APIVersion: text.Excerpt(o.APIVersion, maxProperty), Kind: text.Excerpt(o.Kind, maxProperty),
		Namespace: text.Excerpt(o.Namespace, maxProperty), Name: text.Excerpt(o.Name, maxProperty),
	}}
}

// add adds a result to the report.
func (c *CheckOpenReportsWriter) add(r OpenReportResult) error {
	r.Policy, r.Category, r.Timestamp = policyCheck, "immutability", c.at
	encoded, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(c.results) > 0 && c.size+len(encoded) > maxReport {
		if err := c.flush(""); err != nil {
			return err
		}
	}
	c.results = append(c.results, r)
	c.size += len(encoded)
	return nil
}

// flush writes a report with the results.
func (c *CheckOpenReportsWriter) flush(summary string) error {
	separator := ",\n"
	if c.written == 0 {
		separator = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
	}
	c.out.WriteString(separator)
	c.written++
	r := OpenReport{
		APIVersion: "openreports.io/v1alpha1", Kind: "ClusterReport", Source: "adamant", Results: c.results, Summary: summaryOf(c.results),
		Metadata: OpenReportMetadata{
			Name:   fmt.Sprintf("adamant-check-%s-%d", c.id, c.written),
			Labels: map[string]string{"app.kubernetes.io/managed-by": "adamant", "adamant.sh/check": c.id},
		},
	}
	if summary != "" {
		r.Metadata.Annotations = map[string]string{"adamant.sh/summary": summary}
	}
	c.results, c.size = nil, 0
	return writeValue(c.out, r, "", "")
}

// Close implements CheckWriter. The last report has the counts, in an annotation.
func (c *CheckOpenReportsWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	verdict := c.summary.Verdict()
	if n := c.summary.Omitted; n > 0 {
		r := OpenReportResult{Rule: noteOmitted, Severity: "medium", Result: "error", Message: text.Count(n, "finding") + " more, in documents with too many"}
		if err := c.add(r); err != nil {
			return verdict, err
		}
	}
	var counts bytes.Buffer
	if err := c.summary.WriteText(&counts, false); err != nil {
		return verdict, err
	}
	if err := c.flush(strings.TrimSpace(counts.String())); err != nil {
		return verdict, err
	}
	c.out.WriteString("\n]}\n")
	return verdict, c.out.Flush()
}
