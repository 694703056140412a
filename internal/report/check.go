package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// CheckReport is the document of `check -o json`.
type CheckReport struct {
	document.Header
	Findings      []CheckFinding `json:"findings"`
	NotUnderstood []CheckProblem `json:"notUnderstood"` // what could not be read; nothing is known about it
	Ambiguous     []CheckProblem `json:"ambiguous"`     // what readers of YAML understand differently; it was read as kubectl reads it
	Summary       CheckSummary   `json:"summary"`
}

// A CheckFinding is one place in a manifest at which something is mutable.
type CheckFinding struct {
	Rule     string          `json:"rule"`     // "root-not-read-only"
	Severity policy.Severity `json:"severity"` // "low", "medium", "high" or "critical"
	Fails    bool            `json:"fails"`    // it counts for the exit code: its severity is at least that of --fail-on
	File     string          `json:"file"`     // "standard input" for -
	Line     int             `json:"line"`     // from 1
	Column   int             `json:"column"`   // from 1, in characters
	// RenderedBy is the folder of the chart or overlay that the object was rendered from. The
	// place is that in its sources.
	RenderedBy   string       `json:"renderedBy,omitempty"`
	RenderedOnly bool         `json:"renderedOnly,omitempty"` // the cause is not known; the place is the nearest one that is
	Values       *CheckValues `json:"values,omitempty"`       // the value of the chart that is rendered there, or that would set the field

	Object    CheckObject `json:"object"`
	Container string      `json:"container,omitempty"`
	Path      string      `json:"path"` // of the field in the object; of a missing one, where it belongs
	Message   string      `json:"message"`
	Fix       string      `json:"fix"`

	Ignored *CheckIgnored `json:"ignored,omitempty"` // why it counts for nothing; only with --show-ignored
}

// A CheckIgnored is why a finding counts for nothing.
type CheckIgnored struct {
	By     string `json:"by"`              // "exception" or "baseline"
	Until  string `json:"until,omitempty"` // the last day, in UTC: "2027-03-31"
	Owner  string `json:"owner,omitempty"`
	Reason string `json:"reason,omitempty"`
	File   string `json:"file"`           // where the exception is, or the baseline
	Line   int    `json:"line,omitempty"` // from 1
	Path   string `json:"path,omitempty"` // of the annotation in its object, or of the item in a configuration
}

// CheckValues is a key in the values of a chart.
type CheckValues struct {
	Key  string `json:"key"`            // "controller.image.tag"
	File string `json:"file,omitempty"` // absent if no values file has the key
	Line int    `json:"line,omitempty"`
}

// A CheckObject names an object of a manifest. Its fields are empty if the manifest does
// not have them.
type CheckObject struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name,omitempty"`
}

// A CheckProblem is a place in a manifest that was not understood, or not by all readers.
type CheckProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // absent if the file could not be read
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Path    string `json:"path,omitempty"`   // of the field in its object
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// CheckSummary counts all that was read and found.
type CheckSummary struct {
	Files         int             `json:"files"`
	Documents     int             `json:"documents"`          // the sum of the next three
	Checked       int             `json:"checked"`            // documents with a pod template
	WithoutPod    int             `json:"withoutPodTemplate"` // documents without one, to which only the rules for other objects apply
	NotUnderstood int             `json:"notUnderstood"`      // documents of which at least a part was not understood
	Pods          int             `json:"pods"`
	Containers    int             `json:"containers"`
	Findings      int             `json:"findings"`
	Failing       int             `json:"failing"` // findings with at least the severity of --fail-on
	Low           int             `json:"low"`
	Medium        int             `json:"medium"`
	High          int             `json:"high"`
	Critical      int             `json:"critical"`
	Ignored       int             `json:"ignored"` // findings that exceptions cover, which are none of the above
	Ambiguous     int             `json:"ambiguous"`
	Baseline      *CheckBaseline  `json:"baseline,omitempty"` // only with --baseline or --write-baseline
	Omitted       int             `json:"omitted,omitempty"`  // problems beyond the first 10,000, and findings beyond the first 100,000 of a document, which are in no list
	FailOn        policy.Severity `json:"failOn"`
	Rules         []string        `json:"rules"` // that were evaluated

	ShowIgnored bool `json:"-"` // whether the findings that exceptions cover are printed
}

// A CheckBaseline counts the findings of a baseline.
type CheckBaseline struct {
	File    string `json:"file"`
	Written bool   `json:"written"` // by this check
	Known   int    `json:"known"`   // findings that are in it, and that are not counted elsewhere
	Gone    int    `json:"gone"`    // findings in it that did not occur, of the rules that were evaluated
}

// maxProblems bounds the problems in a document, because a file of broken documents has one
// in a few bytes.
const maxProblems = 10_000

// Verdict returns the outcome of the check.
func (s CheckSummary) Verdict() Verdict { return verdictOf(s.Failing > 0, s.NotUnderstood > 0) }

// add counts a document.
func (s *CheckSummary) add(d *manifest.Document, r policy.Result) {
	if !r.Configuration {
		s.Documents++
	}
	switch {
	case r.Configuration:
	case len(d.NotUnderstood)+r.Omitted > 0:
		s.NotUnderstood++
	case d.HasPods():
		s.Checked++
	default:
		s.WithoutPod++
	}
	s.Pods += r.Pods
	s.Containers += r.Containers
	s.Ambiguous += len(d.Ambiguous)
	s.Omitted += r.Omitted
	for _, i := range r.Ignored {
		if i.By == nil {
			if s.Baseline == nil {
				s.Baseline = &CheckBaseline{File: i.Baseline}
			}
			s.Baseline.Known++
		} else {
			s.Ignored++
		}
	}
	s.Findings += len(r.Findings)
	for _, f := range r.Findings {
		if f.Severity >= s.FailOn {
			s.Failing++
		}
		switch f.Severity {
		case policy.Low:
			s.Low++
		case policy.Medium:
			s.Medium++
		case policy.High:
			s.High++
		case policy.Critical:
			s.Critical++
		}
	}
}

// WriteText implements Text. It has the counts of everything, also of what was not found.
func (s CheckSummary) WriteText(w io.Writer, color bool) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s in %s: %d checked, %d without a pod template, %d not understood\n",
		text.Count(s.Documents, "document"), text.Count(s.Files, "file"), s.Checked, s.WithoutPod, s.NotUnderstood)
	fmt.Fprintf(b, "%s in %s", text.Count(s.Findings, "finding"), text.Count(s.Containers, "container"))
	if s.Findings > 0 {
		fmt.Fprintf(b, ": %d critical, %d high, %d medium, %d low", s.Critical, s.High, s.Medium, s.Low)
	}
	if s.Failing < s.Findings {
		fmt.Fprintf(b, "; %d of them below %s, which do not fail", s.Findings-s.Failing, s.FailOn)
	}
	fmt.Fprintln(b)
	if s.Ignored > 0 {
		fmt.Fprintf(b, "%s more ignored by exceptions", text.Count(s.Ignored, "finding"))
		if !s.ShowIgnored {
			b.WriteString("; --show-ignored prints them")
		}
		fmt.Fprintln(b)
	}
	s.writeBaseline(b)
	if s.Omitted > 0 {
		fmt.Fprintf(b, "%s more in documents with too many\n", text.Count(s.Omitted, "finding"))
	}
	if s.Ambiguous > 0 {
		fmt.Fprintf(b, "%s that other readers of YAML may understand differently\n", text.Count(s.Ambiguous, "place"))
	}
	return b.Flush()
}

// covered returns the number of findings that exceptions and the baseline cover.
func (s CheckSummary) covered() int {
	if s.Baseline == nil {
		return s.Ignored
	}
	return s.Ignored + s.Baseline.Known
}

func (s CheckSummary) writeBaseline(b *bufio.Writer) {
	base := s.Baseline
	if base == nil {
		return
	}
	file := text.Escape(base.File)
	if base.Written {
		fmt.Fprintf(b, "%s written to the baseline %s\n", text.Count(base.Known, "finding"), file)
		return
	}
	fmt.Fprintf(b, "%s more in the baseline %s, which %s not fail\n", text.Count(base.Known, "finding"), file, map[bool]string{true: "does", false: "do"}[base.Known == 1])
	switch {
	case base.Gone == 0:
	case s.NotUnderstood > 0:
		fmt.Fprintf(b, "%s of the baseline not found, but something was not understood\n", text.Count(base.Gone, "finding"))
	default:
		fmt.Fprintf(b, "%s of the baseline not found: --write-baseline %s removes what is fixed\n", text.Count(base.Gone, "finding"), file)
	}
}

// A CheckWriter writes the result of a check while documents are read, so that it holds none
// of them.
type CheckWriter interface {
	// Document writes what was found in the next document.
	Document(*manifest.Document, policy.Result) error
	// Close writes the end, and returns the outcome.
	Close(files int) (Verdict, error)
}

// NewCheckSummary returns the summary of a check that has read nothing yet.
func NewCheckSummary(rules []policy.Rule, failOn policy.Severity) CheckSummary {
	s := CheckSummary{FailOn: failOn, Rules: []string{}}
	for _, r := range rules {
		s.Rules = append(s.Rules, r.ID)
	}
	return s
}

func newProblem(e manifest.FieldError) CheckProblem {
	return CheckProblem{File: e.File, Line: e.Line, Column: e.Column, Path: e.Path, Message: e.Detail, Hint: e.Hint}
}

func newFinding(f policy.Finding, failOn policy.Severity) CheckFinding {
	var values *CheckValues
	if v := f.Place.Values; v.Key != "" {
		values = &CheckValues{v.Key, v.File, v.Line}
	}
	return CheckFinding{
		RenderedBy: f.Place.RenderedBy, RenderedOnly: f.Place.RenderedOnly, Values: values,
		Rule: f.Rule, Severity: f.Severity, Fails: f.Severity >= failOn, File: f.Place.File, Line: f.Place.Line, Column: f.Place.Column,
		Object: CheckObject(f.Object), Container: f.Container, Path: f.Path, Message: f.Message, Fix: f.Fix,
	}
}

func newIgnored(i policy.Ignored) CheckFinding {
	f := newFinding(i.Finding, policy.Critical+1)
	e := i.By
	if e == nil {
		f.Ignored = &CheckIgnored{By: "baseline", File: i.Baseline}
		return f
	}
	f.Ignored = &CheckIgnored{By: "exception", Until: e.Until, Owner: e.Owner, Reason: e.Reason, File: e.Place.File, Line: e.Place.Line, Path: e.Path}
	return f
}

// findings returns what is printed of a document: its findings, and what exceptions cover if
// that is asked for.
func (s CheckSummary) findings(r policy.Result) []CheckFinding {
	var list []CheckFinding
	for _, f := range r.Findings {
		list = append(list, newFinding(f, s.FailOn))
	}
	if s.ShowIgnored {
		for _, i := range r.Ignored {
			list = append(list, newIgnored(i))
		}
	}
	return list
}

// A CheckJSONWriter writes a CheckReport as JSON. It holds only the problems.
type CheckJSONWriter struct {
	out     *bufio.Writer
	report  CheckReport
	written int // findings
}

// NewCheckJSONWriter returns a writer to w.
func NewCheckJSONWriter(w io.Writer, s CheckSummary) *CheckJSONWriter {
	return &CheckJSONWriter{out: bufio.NewWriter(w), report: newCheckReport(s)}
}

func newCheckReport(s CheckSummary) CheckReport {
	return CheckReport{
		Header: document.NewHeader(document.CheckReport), Findings: []CheckFinding{}, NotUnderstood: []CheckProblem{}, Ambiguous: []CheckProblem{}, Summary: s,
	}
}

// Document implements CheckWriter.
func (c *CheckJSONWriter) Document(d *manifest.Document, r policy.Result) error {
	c.report.add(d, r)
	for _, f := range c.report.Summary.findings(r) {
		c.next()
		if err := c.value("    ", f); err != nil {
			return err
		}
	}
	return nil
}

// add counts a document, and keeps its problems.
func (c *CheckReport) add(d *manifest.Document, r policy.Result) {
	c.Summary.add(d, r)
	keep := func(list *[]CheckProblem, errs manifest.Errors) {
		for _, e := range errs {
			if len(*list) == maxProblems {
				c.Summary.Omitted++
				continue
			}
			*list = append(*list, newProblem(e))
		}
	}
	keep(&c.NotUnderstood, d.NotUnderstood)
	keep(&c.Ambiguous, d.Ambiguous)
}

// next writes what is before the next finding.
func (c *CheckJSONWriter) next() {
	if c.written == 0 {
		fmt.Fprintf(c.out, "{\n  \"apiVersion\": %q,\n  \"kind\": %q,\n  \"findings\": [\n    ", c.report.APIVersion, c.report.Kind)
	} else {
		c.out.WriteString(",\n    ")
	}
	c.written++
}

// value writes a value inside of the document.
func (c *CheckJSONWriter) value(prefix string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent(prefix, "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := c.out.Write(text.EscapeJSON(bytes.TrimRight(b.Bytes(), "\n")))
	return err
}

// Close implements CheckWriter.
func (c *CheckJSONWriter) Close(files int) (Verdict, error) {
	s := &c.report.Summary
	s.Files = files
	if c.written == 0 {
		return s.Verdict(), errors.Join(writeJSON(c.out, c.report), c.out.Flush())
	}
	c.out.WriteString("\n  ],\n")
	for _, f := range []struct {
		name  string
		value any
		end   string
	}{{"notUnderstood", c.report.NotUnderstood, ",\n"}, {"ambiguous", c.report.Ambiguous, ",\n"}, {"summary", s, "\n}\n"}} {
		fmt.Fprintf(c.out, "  %q: ", f.name)
		if err := c.value("  ", f.value); err != nil {
			return s.Verdict(), err
		}
		c.out.WriteString(f.end)
	}
	return s.Verdict(), c.out.Flush()
}

// A CheckTextWriter writes a check for people.
type CheckTextWriter struct {
	out     io.Writer
	paint   painter
	summary CheckSummary
	file    string // whose name was written last
	object  policy.Object
	printed bool
}

// NewCheckTextWriter returns a writer for the output of p.
func NewCheckTextWriter(p TextPrinter, s CheckSummary) *CheckTextWriter {
	return &CheckTextWriter{out: p.Out, paint: painter(p.Color), summary: s}
}

// Document implements CheckWriter.
func (c *CheckTextWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	if !c.summary.ShowIgnored {
		r.Ignored = nil
	}
	if len(d.NotUnderstood)+len(d.Ambiguous)+len(r.Findings)+len(r.Ignored) == 0 {
		return nil
	}
	var b bytes.Buffer
	c.heading(&b, d)
	for _, e := range d.NotUnderstood {
		c.problem(&b, red, "not understood", e)
	}
	for _, e := range d.Ambiguous {
		c.problem(&b, yellow, "ambiguous", e)
	}
	for _, f := range r.Findings {
		c.finding(&b, f, "")
	}
	for _, i := range r.Ignored {
		c.finding(&b, i.Finding, ignoredText(i)+ignoredAt(i))
	}
	_, err := c.out.Write(b.Bytes())
	return err
}

// heading writes the name of a file, once for all of its documents.
func (c *CheckTextWriter) heading(b *bytes.Buffer, d *manifest.Document) {
	file := d.File
	if d.RenderedBy != "" {
		file += " (rendered by " + d.RenderedBy + ")"
	}
	if c.printed && file == c.file {
		return
	}
	if c.printed {
		b.WriteByte('\n')
	}
	c.printed, c.file, c.object = true, file, policy.Object{}
	fmt.Fprintln(b, c.paint.paint(bold, text.Escape(file)))
}

func (c *CheckTextWriter) problem(b *bytes.Buffer, color, what string, e manifest.FieldError) {
	place := ""
	if e.Line > 0 {
		place = fmt.Sprintf(":%d:%d", e.Line, max(e.Column, 1))
	}
	fmt.Fprintf(b, "\n  %s  %s%s\n", c.paint.paint(color, what), text.Escape(e.File), place)
	detail := e.Detail
	if e.Path != "" {
		detail = e.Path + ": " + detail
	}
	fmt.Fprintf(b, "    %s\n", text.Excerpt(detail, maxMessage))
	if e.Hint != "" {
		fmt.Fprintf(b, "    hint: %s\n", text.Excerpt(e.Hint, maxMessage))
	}
}

// maxMessage bounds a message, which may have text from a manifest in it, in bytes.
const maxMessage = 1000

// finding writes a finding, and why it is ignored if it is.
func (c *CheckTextWriter) finding(b *bytes.Buffer, f policy.Finding, ignored string) {
	if f.Object != c.object {
		c.object = f.Object
		o := manifest.Resource{Kind: f.Object.Kind, Namespace: f.Object.Namespace, Name: f.Object.Name}
		fmt.Fprintf(b, "\n  %s\n", text.Excerpt(o.String(), maxMessage))
	}
	p := f.Place
	label := c.paint.paint(severityColor(f.Severity), f.Severity.String())
	if ignored != "" {
		label = "ignored"
	}
	only := ""
	if p.RenderedOnly {
		only = "  (rendered only)"
	}
	fmt.Fprintf(b, "\n    %s  %s  %s:%d:%d%s\n", label, c.paint.paint(bold, f.Rule), text.Escape(p.File), p.Line, p.Column, only)
	message := f.Message
	if f.Container != "" {
		message = "container " + f.Container + ": " + message
	}
	fmt.Fprintf(b, "    %s\n", text.Excerpt(message, maxMessage))
	if ignored != "" {
		fmt.Fprintln(b, "    "+ignored)
		return
	}
	c.excerpt(b, p)
	if v := p.Values; v.Key != "" {
		fmt.Fprintf(b, "    values: %s\n", text.Excerpt(v.String(), maxMessage))
	}
	fmt.Fprintf(b, "    fix: %s\n", text.Escape(f.Fix))
}

// excerpt writes the line of a place, with the value underlined.
func (c *CheckTextWriter) excerpt(b *bytes.Buffer, p manifest.Place) {
	if strings.TrimSpace(p.Excerpt) == "" {
		return
	}
	runes := []rune(p.Excerpt)
	before := min(p.Before, len(runes))
	end := min(before+max(p.Width, 1), len(runes))
	// Escaped parts may be longer, and tabs have no fixed width.
	part := func(s []rune) string { return text.Escape(strings.ReplaceAll(string(s), "\t", "    ")) }
	head, value, rest := part(runes[:before]), part(runes[before:end]), part(runes[end:])
	number := fmt.Sprintf("%6d", p.Line)
	fmt.Fprintf(b, "    %s | %s%s%s\n", number, head, value, strings.TrimRight(rest, " "))
	fmt.Fprintf(b, "    %s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", text.Width(head)), c.paint.paint(red, strings.Repeat("^", max(text.Width(value), 1))))
}

// ignoredAt returns the place of an exception in parentheses.
func ignoredAt(i policy.Ignored) string {
	if i.By == nil {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", text.Escape(i.By.Place.File), i.By.Place.Line)
}

func severityColor(s policy.Severity) string {
	switch s {
	case policy.Low:
		return cyan
	case policy.Medium:
		return yellow
	}
	return red
}

// Close implements CheckWriter.
func (c *CheckTextWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	var b bytes.Buffer
	if c.printed {
		b.WriteByte('\n')
	}
	if err := c.summary.WriteText(&b, bool(c.paint)); err != nil {
		return c.summary.Verdict(), err
	}
	_, err := c.out.Write(b.Bytes())
	return c.summary.Verdict(), err
}

// A CheckCollector holds a whole CheckReport, for printers that need it at once.
type CheckCollector struct {
	printer Printer
	report  CheckReport
}

// NewCheckCollector returns a collector that prints the report with p at the end.
func NewCheckCollector(p Printer, s CheckSummary) *CheckCollector {
	return &CheckCollector{printer: p, report: newCheckReport(s)}
}

// Document implements CheckWriter.
func (c *CheckCollector) Document(d *manifest.Document, r policy.Result) error {
	c.report.add(d, r)
	c.report.Findings = append(c.report.Findings, c.report.Summary.findings(r)...)
	return nil
}

// Close implements CheckWriter.
func (c *CheckCollector) Close(files int) (Verdict, error) {
	c.report.Summary.Files = files
	return c.report.Summary.Verdict(), c.printer.Print(c.report)
}

// WriteText implements Text.
func (c CheckReport) WriteText(w io.Writer, color bool) error { return c.Summary.WriteText(w, color) }
