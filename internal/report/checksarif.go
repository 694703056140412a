package report

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A CheckSARIFWriter writes a check as SARIF 2.1.0, in the form that GitHub code scanning
// reads. It writes each finding at once, and holds only what could not be checked.
type CheckSARIFWriter struct {
	out     *bufio.Writer
	rules   []policy.Rule
	summary CheckSummary
	notes   []sarifNotification
	dropped int // notes beyond maxProblems
	written int // results
}

// NewCheckSARIFWriter returns a writer to w for a check with these rules.
func NewCheckSARIFWriter(w io.Writer, rules []policy.Rule, s CheckSummary) *CheckSARIFWriter {
	return &CheckSARIFWriter{out: bufio.NewWriter(w), rules: rules, summary: s}
}

// sarifSchema is the address of the schema of SARIF 2.1.0 with its errata.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// IDs of notifications.
const (
	noteNotUnderstood = "not-understood"
	noteAmbiguous     = "ambiguous"
	noteOmitted       = "omitted"
	noteSummary       = "summary"
)

var sarifNotes = []sarifDescriptor{
	{ID: noteNotUnderstood, Short: &sarifText{Text: "Something could not be read, and nothing is known about it"}, Configuration: &sarifConfiguration{"error"}},
	{ID: noteAmbiguous, Short: &sarifText{Text: "Readers of YAML understand this differently"}, Configuration: &sarifConfiguration{"warning"}},
	{ID: noteOmitted, Short: &sarifText{Text: "There is more than is listed"}, Configuration: &sarifConfiguration{"error"}},
	{ID: noteSummary, Short: &sarifText{Text: "What was read and found"}, Configuration: &sarifConfiguration{"note"}},
}

// Document implements CheckWriter.
func (c *CheckSARIFWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	c.note(noteNotUnderstood, "error", d.NotUnderstood)
	c.note(noteAmbiguous, "warning", d.Ambiguous)
	for _, f := range r.Findings {
		if err := c.result(f, fixesOf(f), nil); err != nil {
			return err
		}
	}
	if c.summary.ShowIgnored {
		for _, i := range r.Ignored {
			if err := c.result(i.Finding, nil, suppressionsOf(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fixesOf returns the fix of a finding as an edit of its file.
func fixesOf(f policy.Finding) []sarifFix {
	change := sarifChange{Artifact: sarifArtifactOf(f.Place.File)}
	for _, r := range f.Edit {
		one := sarifReplacement{Deleted: sarifRegion{r.Line, r.Column, r.EndLine, r.EndColumn}}
		if r.Text != "" {
			one.Inserted = &sarifText{Text: r.Text}
		}
		change.Replacements = append(change.Replacements, one)
	}
	if len(change.Replacements) == 0 {
		return nil
	}
	return []sarifFix{{sarifText{Text: f.Fix}, []sarifChange{change}}}
}

// suppressionsOf returns the exception for a finding, or the baseline that it is in. Without
// suppressions a result counts.
func suppressionsOf(i policy.Ignored) []sarifSuppression {
	justification := sarifMessage(ignoredText(i)).Text
	if i.By == nil {
		return []sarifSuppression{{"external", "accepted", justification, sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifactOf(i.Baseline)}}}}
	}
	kind := "inSource"
	if i.By.Place.File != i.Place.File {
		kind = "external"
	}
	physical := sarifPhysical{Artifact: sarifArtifactOf(i.By.Place.File)}
	if i.By.Place.Line > 0 {
		physical.Region = &sarifRegion{StartLine: i.By.Place.Line, StartColumn: max(i.By.Place.Column, 1)}
	}
	return []sarifSuppression{{kind, "accepted", justification, sarifLocation{Physical: physical}}}
}

func (c *CheckSARIFWriter) note(id, level string, errs manifest.Errors) {
	for _, e := range errs {
		if len(c.notes) == maxProblems {
			c.dropped++
			continue
		}
		physical := sarifPhysical{Artifact: sarifArtifactOf(e.File)}
		if e.Line > 0 {
			physical.Region = &sarifRegion{StartLine: e.Line, StartColumn: max(e.Column, 1)}
		}
		c.notes = append(c.notes, sarifNotification{sarifID{id}, level, sarifMessage(problemText(e)), []sarifLocation{{Physical: physical}}})
	}
}

// result writes one finding.
func (c *CheckSARIFWriter) result(f policy.Finding, fixes []sarifFix, suppressions []sarifSuppression) error {
	if err := c.begin(); err != nil {
		return err
	}
	region := &sarifRegion{StartLine: f.Place.Line, StartColumn: max(f.Place.Column, 1)}
	if f.Place.Width > 0 {
		region.EndColumn = region.StartColumn + f.Place.Width
	}
	properties := map[string]any{"adamant/severity": f.Severity, "adamant/fails": f.Severity >= c.summary.FailOn && suppressions == nil}
	if f.Place.RenderedBy != "" {
		properties["adamant/renderedBy"] = f.Place.RenderedBy
	}
	if f.Place.ValuesKey != "" {
		properties["adamant/valuesKey"] = f.Place.ValuesKey
	}
	if f.Place.RenderedOnly {
		properties["adamant/renderedOnly"] = true
	}
	return c.value(sarifResult{
		Rule: f.Rule, Index: slices.IndexFunc(c.rules, func(r policy.Rule) bool { return r.ID == f.Rule }), Level: sarifLevel(f.Severity),
		Message: sarifMessage(findingText(f) + ". Fix: " + f.Fix),
		Locations: []sarifLocation{{
			Physical: sarifPhysical{Artifact: sarifArtifactOf(f.Place.File), Region: region},
			Logical:  sarifLogicalOf(f),
		}},
		Fingerprints: map[string]string{"adamant/v1": f.Fingerprint()},
		Properties:   properties,
		Fixes:        fixes, Suppressions: suppressions,
	})
}

// begin writes what is before a result.
func (c *CheckSARIFWriter) begin() error {
	c.written++
	if c.written > 1 {
		_, err := c.out.WriteString(",\n")
		return err
	}
	fmt.Fprintf(c.out, `{"$schema": %q, "version": "2.1.0", "runs": [{"tool": {"driver": `, sarifSchema)
	if err := c.value(sarifDriverOf(c.rules)); err != nil {
		return err
	}
	_, err := c.out.WriteString("},\n\"columnKind\": \"unicodeCodePoints\", \"results\": [\n")
	return err
}

// value writes a value on one line.
func (c *CheckSARIFWriter) value(v any) error { return writeValue(c.out, v, "", "") }

// Close implements CheckWriter.
func (c *CheckSARIFWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	verdict := c.summary.Verdict()
	if c.written == 0 {
		if err := c.begin(); err != nil {
			return verdict, err
		}
	}
	if n := c.dropped + c.summary.Omitted; n > 0 {
		message := text.Count(n, "problem or finding") + " more that are not listed, because there are too many"
		c.notes = append(c.notes, sarifNotification{sarifID{noteOmitted}, "error", sarifMessage(message), nil})
	}
	c.summary.Omitted += c.dropped
	var counts bytes.Buffer
	if err := c.summary.WriteText(&counts, false); err != nil {
		return verdict, err
	}
	c.notes = append(c.notes, sarifNotification{sarifID{noteSummary}, "note", sarifMessage(strings.TrimSpace(counts.String())), nil})
	c.out.WriteString("\n], \"invocations\": [")
	if err := c.value(sarifInvocation{Successful: verdict != Incomplete, ExitCode: int(verdict), Notifications: c.notes}); err != nil {
		return verdict, err
	}
	c.out.WriteString("], \"properties\": ")
	if err := c.value(map[string]any{"adamant/summary": c.summary}); err != nil {
		return verdict, err
	}
	c.out.WriteString("}]}\n")
	return verdict, c.out.Flush()
}

// sarifLevel returns the level of a severity. SARIF has three.
func sarifLevel(s policy.Severity) string {
	switch s {
	case policy.Low:
		return "note"
	case policy.Medium:
		return "warning"
	}
	return "error"
}

// securitySeverity returns the number by which GitHub code scanning shows a severity:
// above 9 is critical, from 7 on high, from 4 on medium.
func securitySeverity(s policy.Severity) string {
	switch s {
	case policy.Low:
		return "3.0"
	case policy.Medium:
		return "5.5"
	case policy.High:
		return "8.0"
	}
	return "9.5"
}

func sarifDriverOf(rules []policy.Rule) sarifDriver {
	d := sarifDriver{Name: "Adamant", Version: BuildVersion(), Information: "https://github.com/adamant-sh/adamant", Rules: []sarifDescriptor{}, Notifications: sarifNotes}
	for _, r := range rules {
		var references, items []string
		for _, ref := range r.References {
			references = append(references, ref.String())
			items = append(items, "- "+ref.String()+"\n")
		}
		d.Rules = append(d.Rules, sarifDescriptor{
			ID: r.ID, Short: &sarifText{Text: r.Title}, Full: &sarifText{Text: r.Title + ". " + r.Reason},
			Help: &sarifText{
				Text:     r.Reason + "\n\nFix: " + r.Fix + ".\n\nDecided by: " + r.Decides + "\n\nReferences: " + strings.Join(references, "; "),
				Markdown: r.Reason + "\n\n**Fix**: " + r.Fix + ".\n\n**Decided by**: " + r.Decides + "\n\n**References**\n\n" + strings.Join(items, ""),
			},
			Configuration: &sarifConfiguration{sarifLevel(r.Severity)},
			Properties:    map[string]any{"security-severity": securitySeverity(r.Severity), "tags": []string{"security", "kubernetes", "immutability"}},
		})
	}
	return d
}

// sarifMessage returns foreign text as a message without embedded links: readers show
// [text](target) as a link.
func sarifMessage(s string) sarifText {
	return sarifText{Text: strings.ReplaceAll(text.EscapeLines(s), "](", "] (")}
}

// sarifArtifactOf returns the place of a file as a URI: relative to where check was
// started, unless its path is absolute.
func sarifArtifactOf(file string) sarifArtifact {
	u := url.URL{Path: filepath.ToSlash(filepath.Clean(file))}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return sarifArtifact{u.String()}
}

// sarifLogicalOf names the object, container and field of a finding.
func sarifLogicalOf(f policy.Finding) []sarifLogical {
	name := func(s string) string { return text.Excerpt(s, maxMessage) }
	at := strings.Join(slices.DeleteFunc([]string{f.Object.APIVersion, f.Object.Kind, f.Object.Namespace, f.Object.Name}, func(s string) bool { return s == "" }), "/")
	var list []sarifLogical
	if at != "" {
		list = append(list, sarifLogical{name(f.Object.Name), name(at), "resource"})
	}
	if f.Container != "" {
		list = append(list, sarifLogical{name(f.Container), name(at + "/" + f.Container), "object"})
	}
	return append(list, sarifLogical{name(f.Path[strings.LastIndexByte(f.Path, '.')+1:]), name(at + "/" + f.Path), "property"})
}
