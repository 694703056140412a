package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

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
	cause := causeText(p)
	if cause != "" {
		cause = "  (" + cause + ")"
	}
	fmt.Fprintf(b, "\n    %s  %s  %s:%d:%d%s\n", label, c.paint.paint(bold, f.Rule), text.Escape(p.File), p.Line, p.Column, cause)
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
