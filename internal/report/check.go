package report

import (
	"bufio"
	"fmt"
	"io"

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
	// RenderedBy is the folder of the overlay that the object was rendered from. The
	// place is that in its sources.
	RenderedBy   string `json:"renderedBy,omitempty"`
	ValuesKey    string `json:"valuesKey,omitempty"`    // of the value in a file of values of a chart: "image.tag"
	RenderedOnly bool   `json:"renderedOnly,omitempty"` // the cause is not known; the place is the nearest one that is

	Object    CheckObject `json:"object"`
	Container string      `json:"container,omitempty"`
	Path      string      `json:"path"` // of the field in the object; of a missing one, where it belongs
	Message   string      `json:"message"`
	Fix       string      `json:"fix"`

	// Fingerprint recognizes the finding after lines, objects or files were moved. A baseline
	// and SARIF have the same.
	Fingerprint string `json:"fingerprint"`

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
	Files         int             `json:"files"`              // 0 of a cluster
	Documents     int             `json:"documents"`          // the sum of the next three
	Checked       int             `json:"checked"`            // documents with a pod template
	WithoutPod    int             `json:"withoutPodTemplate"` // documents without one, to which only the rules for other objects apply
	NotUnderstood int             `json:"notUnderstood"`      // documents of which at least a part was not understood
	Pods          int             `json:"pods"`
	Containers    int             `json:"containers"`
	Profiled      int             `json:"profiled"` // containers whose volumes were compared with a profile
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
	Helm          *CheckHelm      `json:"helm,omitzero"`

	ShowIgnored bool `json:"-"` // whether the findings that exceptions cover are printed
}

// A CheckBaseline counts the findings of a baseline.
type CheckBaseline struct {
	File    string `json:"file"`
	Written bool   `json:"written"` // by this check
	Known   int    `json:"known"`   // findings that are in it, and that are not counted elsewhere
	Gone    int    `json:"gone"`    // findings in it that did not occur, of the rules that were evaluated
}

// CheckHelm is the program that has rendered the charts. It is not printed if there are none.
type CheckHelm struct {
	Version string `json:"version"` // "v3.22.0"
	Charts  int    `json:"charts"`
}

// IsZero reports whether there were no charts.
func (h *CheckHelm) IsZero() bool { return h == nil || h.Charts == 0 }

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
	s.Profiled += r.Profiled
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
	fmt.Fprint(b, text.Count(s.Documents, "document"))
	if s.Files > 0 {
		fmt.Fprintf(b, " in %s", text.Count(s.Files, "file"))
	}
	fmt.Fprintf(b, ": %d checked, %d without a pod template, %d not understood\n", s.Checked, s.WithoutPod, s.NotUnderstood)
	if !s.Helm.IsZero() {
		fmt.Fprintf(b, "%s rendered by helm %s\n", text.Count(s.Helm.Charts, "chart"), text.Escape(s.Helm.Version))
	}
	fmt.Fprintf(b, "%s in %s", text.Count(s.Findings, "finding"), text.Count(s.Containers, "container"))
	if s.Findings > 0 {
		fmt.Fprintf(b, ": %d critical, %d high, %d medium, %d low", s.Critical, s.High, s.Medium, s.Low)
	}
	if s.Failing < s.Findings {
		fmt.Fprintf(b, "; %d of them below %s, which do not fail", s.Findings-s.Failing, s.FailOn)
	}
	fmt.Fprintln(b)
	if s.Profiled > 0 {
		fmt.Fprintf(b, "volumes of %d of %s compared with profiles\n", s.Profiled, text.Count(s.Containers, "container"))
	}
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
	s := CheckSummary{FailOn: failOn, Rules: []string{}, Helm: &CheckHelm{}}
	for _, r := range rules {
		s.Rules = append(s.Rules, r.ID)
	}
	return s
}

func newProblem(e manifest.FieldError) CheckProblem {
	return CheckProblem{File: e.File, Line: e.Line, Column: e.Column, Path: e.Path, Message: e.Detail, Hint: e.Hint}
}

func newFinding(f policy.Finding, failOn policy.Severity) CheckFinding {
	return CheckFinding{
		RenderedBy: f.Place.RenderedBy, ValuesKey: f.Place.ValuesKey, RenderedOnly: f.Place.RenderedOnly,
		Rule: f.Rule, Severity: f.Severity, Fails: f.Severity >= failOn, File: f.Place.File, Line: f.Place.Line, Column: f.Place.Column,
		Object: CheckObject(f.Object), Container: f.Container, Path: f.Path, Message: f.Message, Fix: f.Fix,
		Fingerprint: f.Fingerprint(),
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
