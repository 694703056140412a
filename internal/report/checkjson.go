package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

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
		if err := writeValue(c.out, f, "    ", "  "); err != nil {
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
		if err := writeValue(c.out, f.value, "  ", "  "); err != nil {
			return s.Verdict(), err
		}
		c.out.WriteString(f.end)
	}
	return s.Verdict(), c.out.Flush()
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
