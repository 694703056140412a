package report

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A CheckHTMLWriter writes a check as one page that needs no scripts and loads nothing. It
// holds what it lists, so that the page can begin with the counts: the most severe findings
// and the first problems.
type CheckHTMLWriter struct {
	out      *bufio.Writer
	at       time.Time
	summary  CheckSummary
	findings map[policy.Severity][]htmlFinding
	ignored  []htmlFinding
	problems []htmlProblem
	unlisted int // problems
	read     int // findings, to list them in the order of the files
}

// NewCheckHTMLWriter returns a writer to w.
func NewCheckHTMLWriter(w io.Writer, at time.Time, s CheckSummary) *CheckHTMLWriter {
	return &CheckHTMLWriter{out: bufio.NewWriter(w), at: at, summary: s, findings: map[policy.Severity][]htmlFinding{}}
}

// maxOnPage bounds the findings, the ignored findings and the problems that a page lists.
// A browser needs seconds for more.
const maxOnPage = 2_000

//go:embed checkhtml.tmpl
var checkHTML string

var checkPage = template.Must(template.New("check").Parse(checkHTML))

// A htmlFinding is a finding with everything made safe to read: no control characters, and
// nothing that changes the direction of text.
type htmlFinding struct {
	order                             int
	File, Object, Place, Rule, Level  string
	Message, Path, Before, Value, End string
	Fix                               string
	Fails                             bool
	Ignored                           string
}

type htmlProblem struct {
	What, Place, Message, Hint string
}

// Document implements CheckWriter.
func (c *CheckHTMLWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	c.problem("not understood", d.NotUnderstood)
	c.problem("ambiguous", d.Ambiguous)
	for _, f := range r.Findings {
		c.read++
		if list := c.findings[f.Severity]; len(list) < maxOnPage {
			c.findings[f.Severity] = append(list, c.finding(f))
		}
	}
	if c.summary.ShowIgnored {
		for _, i := range r.Ignored {
			c.read++
			if len(c.ignored) < maxOnPage {
				f := c.finding(i.Finding)
				f.Ignored = ignoredText(i)
				c.ignored = append(c.ignored, f)
			}
		}
	}
	return nil
}

func (c *CheckHTMLWriter) problem(what string, errs manifest.Errors) {
	for _, e := range errs {
		if len(c.problems) == maxOnPage {
			c.unlisted++
			continue
		}
		message := e.Detail
		if e.Path != "" {
			message = e.Path + ": " + message
		}
		place := text.Escape(e.File)
		if e.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", place, e.Line, max(e.Column, 1))
		}
		c.problems = append(c.problems, htmlProblem{what, place, text.Excerpt(message, maxMessage), text.Excerpt(e.Hint, maxMessage)})
	}
}

func (c *CheckHTMLWriter) finding(f policy.Finding) htmlFinding {
	h := htmlFinding{
		order: c.read, File: text.Escape(f.Place.File), Object: text.Excerpt(objectName(f.Object), maxMessage), Place: fmt.Sprintf("%d:%d", f.Place.Line, f.Place.Column),
		Rule: f.Rule, Level: f.Severity.String(), Message: findingText(f), Path: text.Excerpt(f.Path, maxMessage), Fix: text.Escape(f.Fix), Fails: f.Severity >= c.summary.FailOn,
	}
	if strings.TrimSpace(f.Place.Excerpt) != "" {
		runes := []rune(f.Place.Excerpt)
		before := min(f.Place.Before, len(runes))
		end := min(before+max(f.Place.Width, 1), len(runes))
		h.Before, h.Value, h.End = text.Escape(string(runes[:before])), text.Escape(string(runes[before:end])), text.Escape(strings.TrimRight(string(runes[end:]), " "))
	}
	return h
}

// A htmlFile has the findings of a file by object.
type htmlFile struct {
	Name    string
	Objects []htmlObject
}

type htmlObject struct {
	Name     string
	Findings []htmlFinding
}

// Close implements CheckWriter.
func (c *CheckHTMLWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	verdict := c.summary.Verdict()
	var counts bytes.Buffer
	if err := c.summary.WriteText(&counts, false); err != nil {
		return verdict, err
	}
	listed := c.mostSevere()
	page := struct {
		Summary                 CheckSummary
		Verdict                 string
		Counts                  []string
		Problems                []htmlProblem
		Files                   []htmlFile
		Ignored                 []htmlFile
		Rules                   []policy.Rule
		Listed, MoreProblems    int
		Unlisted, MoreIgnored   int
		Incomplete, ShowIgnored bool
		Written, Version        string
	}{
		Summary: c.summary, Counts: strings.Split(strings.TrimSpace(counts.String()), "\n"), Problems: c.problems, Files: filesOf(listed), Ignored: filesOf(c.ignored),
		MoreProblems: c.unlisted, Rules: c.found(listed), Listed: len(listed), Unlisted: c.summary.Findings - len(listed), MoreIgnored: max(0, c.summary.covered()-len(c.ignored)),
		Incomplete: verdict == Incomplete, ShowIgnored: c.summary.ShowIgnored, Written: c.at.UTC().Format("2006-01-02 15:04 MST"), Version: BuildVersion(),
	}
	switch verdict {
	case Clean:
		page.Verdict = "Nothing that was found fails this check"
		if c.summary.Findings == 0 {
			page.Verdict = "Nothing mutable was found"
		}
	case Findings:
		page.Verdict = text.Count(c.summary.Failing, "finding") + " of at least " + c.summary.FailOn.String() + " severity"
	default:
		page.Verdict = "Incomplete: something was not understood, and nothing is known about it"
	}
	if err := checkPage.Execute(c.out, page); err != nil {
		return verdict, err
	}
	return verdict, c.out.Flush()
}

// mostSevere returns the findings that are listed, in the order of the files.
func (c *CheckHTMLWriter) mostSevere() []htmlFinding {
	var listed []htmlFinding
	for _, s := range slices.Backward(policy.Severities()) {
		list := c.findings[s]
		listed = append(listed, list[:min(len(list), maxOnPage-len(listed))]...)
	}
	slices.SortFunc(listed, func(a, b htmlFinding) int { return a.order - b.order })
	return listed
}

// found returns the rules of findings.
func (c *CheckHTMLWriter) found(list []htmlFinding) []policy.Rule {
	ids := map[string]bool{}
	for _, f := range slices.Concat(list, c.ignored) {
		ids[f.Rule] = true
	}
	return slices.DeleteFunc(policy.Rules(), func(r policy.Rule) bool { return !ids[r.ID] })
}

// filesOf groups findings that follow each other.
func filesOf(list []htmlFinding) []htmlFile {
	var files []htmlFile
	for _, f := range list {
		if n := len(files); n == 0 || files[n-1].Name != f.File {
			files = append(files, htmlFile{Name: f.File})
		}
		file := &files[len(files)-1]
		if n := len(file.Objects); n == 0 || file.Objects[n-1].Name != f.Object {
			file.Objects = append(file.Objects, htmlObject{Name: f.Object})
		}
		o := &file.Objects[len(file.Objects)-1]
		o.Findings = append(o.Findings, f)
	}
	return files
}
