package report

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A CheckGitHubWriter writes a check as workflow commands, which GitHub Actions shows at
// the lines of a pull request:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
type CheckGitHubWriter struct {
	out     *bufio.Writer
	summary CheckSummary
}

// NewCheckGitHubWriter returns a writer to w.
func NewCheckGitHubWriter(w io.Writer, s CheckSummary) *CheckGitHubWriter {
	return &CheckGitHubWriter{out: bufio.NewWriter(w), summary: s}
}

// Document implements CheckWriter.
func (c *CheckGitHubWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	for _, e := range d.NotUnderstood {
		c.command("error", manifest.Place{File: e.File, Line: e.Line, Column: e.Column}, "not understood", problemText(e))
	}
	for _, e := range d.Ambiguous {
		c.command("warning", manifest.Place{File: e.File, Line: e.Line, Column: e.Column}, "ambiguous", problemText(e))
	}
	for _, f := range r.Findings {
		c.command(gitHubLevel(f.Severity), f.Place, f.Rule+" ("+f.Severity.String()+")", findingText(f)+"\nFix: "+f.Fix)
	}
	if c.summary.ShowIgnored {
		for _, i := range r.Ignored {
			c.command("notice", i.Place, i.Rule+" (ignored)", findingText(i.Finding)+"\nIgnored "+ignoredText(i))
		}
	}
	return nil
}

// command writes one command on a line of its own. Errors of the writer are returned by
// Flush.
func (c *CheckGitHubWriter) command(level string, p manifest.Place, title, message string) {
	properties := []string{"title=" + gitHubProperty(title)}
	if p.File != "" {
		properties = append(properties, "file="+gitHubProperty(p.File))
	}
	if p.Line > 0 {
		column := max(p.Column, 1)
		properties = append(properties, "line="+strconv.Itoa(p.Line), "col="+strconv.Itoa(column))
		if p.Width > 0 {
			properties = append(properties, "endColumn="+strconv.Itoa(column+p.Width))
		}
	}
	fmt.Fprintf(c.out, "::%s %s::%s\n", level, strings.Join(properties, ","), gitHubData(message))
}

// Close implements CheckWriter.
func (c *CheckGitHubWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	verdict := c.summary.Verdict()
	var counts bytes.Buffer
	if err := c.summary.WriteText(&counts, false); err != nil {
		return verdict, err
	}
	level := "notice"
	if c.summary.Omitted > 0 {
		level = "error"
	}
	c.command(level, manifest.Place{}, "adamant check", strings.TrimSpace(counts.String()))
	return verdict, c.out.Flush()
}

func gitHubLevel(s policy.Severity) string {
	switch s {
	case policy.Low:
		return "notice"
	case policy.Medium:
		return "warning"
	}
	return "error"
}

var (
	gitHubDataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	gitHubPropertyEscapes = strings.NewReplacer(":", "%3A", ",", "%2C")
)

// gitHubData returns the text of a command. A line break of its own would begin another
// command.
func gitHubData(s string) string {
	return gitHubDataEscapes.Replace(text.EscapeLines(s))
}

// gitHubProperty returns the value of a property of a command.
func gitHubProperty(s string) string {
	return gitHubPropertyEscapes.Replace(gitHubData(s))
}
