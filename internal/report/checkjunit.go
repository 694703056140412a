package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// A CheckJUnitWriter writes a check in the XML of JUnit, which GitLab, Jenkins and others
// show as results of tests: each file is a test suite, each finding a test that failed, and
// each document without one a test that passed. A finding that does not fail the check is a
// test that was skipped, and what was not understood is one with an error.
type CheckJUnitWriter struct {
	out     *bufio.Writer
	summary CheckSummary
	suite   junitSuite
	begun   bool
}

// NewCheckJUnitWriter returns a writer to w.
func NewCheckJUnitWriter(w io.Writer, s CheckSummary) *CheckJUnitWriter {
	return &CheckJUnitWriter{out: bufio.NewWriter(w), summary: s}
}

// maxCases is the number of tests after which the results of a file go on in another suite.
// The counts of a suite are before its tests, so that it is held until it is complete.
const maxCases = 10_000

type junitSuite struct {
	XMLName    xml.Name         `xml:"testsuite"`
	Name       string           `xml:"name,attr"`
	Tests      int              `xml:"tests,attr"`
	Failures   int              `xml:"failures,attr"`
	Errors     int              `xml:"errors,attr"`
	Skipped    int              `xml:"skipped,attr"`
	Properties *junitProperties `xml:"properties"`
	Cases      []junitCase      `xml:"testcase"`
	Out        string           `xml:"system-out,omitempty"`
	Err        string           `xml:"system-err,omitempty"`
}

type junitProperties struct {
	List []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	File    string       `xml:"file,attr,omitempty"`
	Line    int          `xml:"line,attr,omitempty"`
	Error   *junitResult `xml:"error"`
	Failure *junitResult `xml:"failure"`
	Skipped *junitResult `xml:"skipped"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Document implements CheckWriter.
func (c *CheckJUnitWriter) Document(d *manifest.Document, r policy.Result) error {
	c.summary.add(d, r)
	if d.File != c.suite.Name {
		if err := c.flush(); err != nil {
			return err
		}
		c.suite.Name = d.File
	}
	for _, e := range d.NotUnderstood {
		message := problemText(e)
		if err := c.add(junitCase{Name: "not understood: " + cmp.Or(text.Excerpt(e.Path, maxMessage), "line "+fmt.Sprint(max(e.Line, 1))), Line: e.Line, Error: &junitResult{
			Message: message, Type: "not understood", Text: fmt.Sprintf("%s:%d:%d: %s", text.Escape(e.File), e.Line, e.Column, message),
		}}); err != nil {
			return err
		}
	}
	for _, e := range d.Ambiguous {
		if len(c.suite.Err) < 1<<20 {
			c.suite.Err += fmt.Sprintf("%d:%d: ambiguous: %s\n", e.Line, e.Column, problemText(e))
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
			why := "ignored " + ignoredText(i)
			one.Failure, one.Skipped = nil, &junitResult{Message: why + ": " + findingText(i.Finding), Type: "ignored"}
			if err := c.add(one); err != nil {
				return err
			}
		}
	}
	if r.Configuration || len(d.NotUnderstood)+len(r.Findings)+r.Omitted > 0 {
		return nil
	}
	return c.add(junitCase{Name: documentName(d), Line: d.Line})
}

func (c *CheckJUnitWriter) finding(f policy.Finding) junitCase {
	result := &junitResult{
		Message: findingText(f), Type: f.Severity.String(),
		Text: fmt.Sprintf("%s:%d:%d: %s\n%s\nfix: %s", text.Escape(f.Place.File), f.Place.Line, f.Place.Column, findingText(f), text.Escape(f.Place.Excerpt), text.Escape(f.Fix)),
	}
	one := junitCase{Name: f.Rule + ": " + text.Excerpt(objectName(f.Object)+" "+f.Path, maxMessage), Line: f.Place.Line, Failure: result}
	if f.Severity < c.summary.FailOn {
		result.Message = fmt.Sprintf("%s, below %s: %s", f.Severity, c.summary.FailOn, result.Message)
		one.Failure, one.Skipped = nil, result
	}
	return one
}

// add adds a test to the suite.
func (c *CheckJUnitWriter) add(one junitCase) error {
	if len(c.suite.Cases) == maxCases {
		name := c.suite.Name
		if err := c.flush(); err != nil {
			return err
		}
		c.suite.Name = name
	}
	one.File = text.Escape(c.suite.Name)
	one.Class = one.File
	c.suite.Tests++
	switch {
	case one.Error != nil:
		c.suite.Errors++
	case one.Failure != nil:
		c.suite.Failures++
	case one.Skipped != nil:
		c.suite.Skipped++
	}
	c.suite.Cases = append(c.suite.Cases, one)
	return nil
}

// flush writes the suite.
func (c *CheckJUnitWriter) flush() error {
	if !c.begun {
		c.begun = true
		c.out.WriteString(xml.Header + "<testsuites name=\"adamant check\">\n")
	}
	s := c.suite
	c.suite = junitSuite{}
	if s.Tests == 0 && s.Out == "" && s.Err == "" {
		return nil
	}
	s.Name = text.Escape(s.Name)
	e := xml.NewEncoder(c.out)
	e.Indent("  ", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	return c.out.WriteByte('\n')
}

// Close implements CheckWriter. The last suite has no tests, but the counts.
func (c *CheckJUnitWriter) Close(files int) (Verdict, error) {
	c.summary.Files = files
	verdict := c.summary.Verdict()
	if err := c.flush(); err != nil {
		return verdict, err
	}
	var counts bytes.Buffer
	if err := c.summary.WriteText(&counts, false); err != nil {
		return verdict, err
	}
	c.suite.Name = "adamant check"
	if n := c.summary.Omitted; n > 0 {
		message := text.Count(n, "finding") + " more, in documents with too many"
		if err := c.add(junitCase{Name: "omitted", Error: &junitResult{Message: message, Type: "omitted", Text: message}}); err != nil {
			return verdict, err
		}
	}
	s := c.summary
	c.suite.Properties = &junitProperties{}
	for _, p := range []struct {
		name  string
		value int
	}{
		{"files", s.Files}, {"documents", s.Documents}, {"checked", s.Checked}, {"withoutPodTemplate", s.WithoutPod}, {"notUnderstood", s.NotUnderstood},
		{"findings", s.Findings}, {"failing", s.Failing}, {"critical", s.Critical}, {"high", s.High}, {"medium", s.Medium}, {"low", s.Low}, {"ignored", s.Ignored},
		{"ambiguous", s.Ambiguous}, {"omitted", s.Omitted},
	} {
		c.suite.Properties.List = append(c.suite.Properties.List, junitProperty{p.name, fmt.Sprint(p.value)})
	}
	if s.Baseline != nil {
		c.suite.Properties.List = append(c.suite.Properties.List, junitProperty{"baselineKnown", fmt.Sprint(s.Baseline.Known)}, junitProperty{"baselineGone", fmt.Sprint(s.Baseline.Gone)})
	}
	c.suite.Out = strings.TrimSpace(counts.String())
	if err := c.flush(); err != nil {
		return verdict, err
	}
	c.out.WriteString("</testsuites>\n")
	return verdict, c.out.Flush()
}
