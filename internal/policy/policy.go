// Package policy finds what is mutable in Kubernetes manifests, before they run. It is
// pure: it takes a document and returns findings.
//
// It reads and writes nothing, and knows no cluster and no image: what a rule cannot
// decide from the manifest alone, it decides by convention, and its documentation
// names the convention.
package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A Severity is how much a finding undoes of immutability.
type Severity int

// The severities.
const (
	Low      Severity = iota + 1 // makes a mistake more likely, or its effect larger
	Medium                       // lets what runs change without a new manifest
	High                         // lets the container change its own code, or that of others
	Critical                     // gives the container the node
)

var severityNames = []string{Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// Severities returns all severities, the least one first.
func Severities() []Severity { return []Severity{Low, Medium, High, Critical} }

// String returns the name of the severity.
func (s Severity) String() string {
	if s < Low || s > Critical {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames, string(text))
	if i < int(Low) {
		return fmt.Errorf("unknown severity %q: want low, medium, high or critical", text)
	}
	*s = Severity(i)
	return nil
}

// A Rule finds one kind of mutability.
type Rule struct {
	ID         string
	Severity   Severity
	Title      string // what is wrong, without a full stop
	Reason     string // why it matters
	Fix        string // what to do
	Decides    string // what it looks at, and where it goes by convention
	References []Reference
	CEL        CEL // the same for an API server

	// One of these looks for it.
	container func(container, *reporter)
	pod       func(*pod, *reporter)
	object    func(*manifest.Resource, *reporter)
}

// A Reference is where a standard asks for the same.
type Reference struct {
	Standard string // "CIS Kubernetes Benchmark"
	Section  string // "5.2.2"
	Title    string
}

// String returns the reference on one line.
func (r Reference) String() string {
	return strings.Join(slices.DeleteFunc([]string{r.Standard, r.Section, r.Title}, func(s string) bool { return s == "" }), ", ")
}

// Select returns the rules with these IDs, or all of them if there are none.
func Select(ids []string) ([]Rule, error) {
	all := Rules()
	if len(ids) == 0 {
		return all, nil
	}
	var unknown []string
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(r Rule) bool { return r.ID == id }) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return nil, UnknownRuleError{unknown[0]}
	}
	return slices.DeleteFunc(all, func(r Rule) bool { return !slices.Contains(ids, r.ID) }), nil
}

// UnknownRuleError is returned for an ID that no rule has.
type UnknownRuleError struct{ ID string }

// Error names the ID, and a rule with a similar one.
func (e UnknownRuleError) Error() string {
	for _, r := range Rules() {
		if manifest.Resembles(e.ID, r.ID) {
			return fmt.Sprintf("unknown rule %q: did you mean %s?", e.ID, r.ID)
		}
	}
	return fmt.Sprintf("unknown rule %q: adamant explain lists them", e.ID)
}

// A Finding is one place at which something is mutable.
type Finding struct {
	Rule      string
	Severity  Severity
	Object    Object
	Container string // empty if it is not about one
	Path      string // of the field in the object; of a missing field, where it belongs
	In        string // path of the container, pod or object that it is about
	Place     manifest.Place
	Message   string
	Fix       string

	// Edit is the fix as an edit of the document, if it is to set one field to a value that
	// does not depend on anything else, and if the document can be edited there. Only a
	// Checker with Edits sets it.
	Edit []manifest.Replacement

	identity identity
	object   *manifest.Resource
	value    any // that the field at Path must have; nil if the rule does not know it
}

// Resource returns the object of the document that the finding is in.
func (f *Finding) Resource() *manifest.Resource { return f.object }

// setTo notes the value of the field that is the fix.
func (f *Finding) setTo(value any) *Finding {
	f.value = value
	return f
}

// fixBudget bounds the size of a document in bytes times its findings, because fixes may have
// to be checked one by one. The findings of larger documents have their fix as text only.
const fixBudget = 256 << 10

// addEdits adds the edits that are the fixes of findings.
func addEdits(d *manifest.Document, findings []Finding) {
	if d.Origin != nil {
		return // what was rendered is not in a file
	}
	if len(findings) == 0 || d.Size() > fixBudget/len(findings) {
		return
	}
	var settings []manifest.Setting
	var of []*Finding
	for i := range findings {
		if f := &findings[i]; f.value != nil {
			settings = append(settings, manifest.Setting{Object: f.object, Path: f.Path, Value: f.value})
			of = append(of, f)
		}
	}
	for i, r := range d.Replacements(settings) {
		of[i].Edit = r
	}
}

// An Object is what a finding is in.
type Object struct {
	APIVersion, Kind, Namespace, Name string
}

// A Result is what was found in a document.
type Result struct {
	Findings   []Finding // in the order of the document's pods and of the rules
	Ignored    []Ignored // findings that count for nothing, in the same order
	Pods       int
	Containers int
	Omitted    int // findings beyond the first 100,000, which are in neither list
	Profiled   int // containers that were compared with their profiles

	Notes []string // what a rule could not decide, and why

	// Configuration is true for findings in a file that is no manifest: it is not counted
	// as a document.
	Configuration bool

	used map[use]struct{}
}

// An Ignored is a finding that counts for nothing, and why.
type Ignored struct {
	Finding
	By       *Exception // nil if it is in a baseline
	Baseline string     // file of the baseline
}

// maxFindings bounds the findings in a document. A value in a file can be a few bytes, and
// a finding has hundreds.
const maxFindings = 100_000

// Check evaluates the rules on a document. It applies no exceptions.
func Check(rules []Rule, d *manifest.Document) Result { return Checker{Rules: rules}.Check(d) }

// A Checker evaluates rules on documents, and applies exceptions.
type Checker struct {
	Rules []Rule
	Today string // the day in UTC, "2026-11-30"; if it is empty, no exception is applied
	Edits bool   // whether findings have an Edit, which takes as long as reading the document again
	Needs Needs  // of the containers of the document that have a profile

	// Image returns the content of an image by its reference in a manifest, or nil if it is
	// not available; may be nil. It is called by each goroutine that calls Check.
	Image func(reference string) *ImageContent
}

// Check evaluates the rules on a document. It applies the exceptions in the annotations of
// the document, and those of configurations.
func (c Checker) Check(d *manifest.Document, configs ...*Config) Result {
	var result Result
	for i := range d.Objects {
		o := &d.Objects[i]
		r := reporter{document: d, object: o, result: &result}
		from := len(result.Findings)
		ends := make([]int, 0, len(o.Pods)) // of the findings of each pod
		for _, p := range o.Pods {
			result.Pods++
			c.checkPod(newPod(o, p), r)
			ends = append(ends, len(result.Findings))
		}
		for i := range c.Rules {
			if c.Rules[i].object != nil {
				r.rule, r.base = &c.Rules[i], o.Value
				c.Rules[i].object(o, &r)
			}
		}
		if c.Today != "" {
			c.except(r, configs, from, ends)
		}
	}
	if c.Edits {
		addEdits(d, result.Findings)
	}
	return result
}

func (c Checker) checkPod(p *pod, r reporter) {
	rules := c.Rules
	r.pod, r.podNamed = p.path, p.named
	r.result.Containers += len(p.containers)
	if len(c.Needs) > 0 {
		r.result.Profiled += p.addNeeds(c.Needs)
	}
	if c.Image != nil {
		for i := range p.containers {
			p.containers[i].content = c.Image(p.containers[i].value.Get("image").Scalar())
		}
	}
	for i := range rules {
		r.rule, r.base, r.list, r.container = &rules[i], p.spec, "", ""
		if rules[i].pod != nil {
			rules[i].pod(p, &r)
		}
		if rules[i].container == nil {
			continue
		}
		for _, c := range p.containers {
			r.base, r.list, r.index, r.container = c.value, c.list, c.index, c.name()
			rules[i].container(c, &r)
		}
	}
}

// A reporter adds findings of one rule in one part of an object.
type reporter struct {
	document *manifest.Document
	object   *manifest.Resource
	rule     *Rule
	result   *Result

	base      manifest.Value // the fields of findings are in it
	pod       string         // path of the pod's spec in the object
	podNamed  string         // the same with the names of items instead of indexes
	list      string         // of the container: "initContainers"; empty if base is none
	index     int
	container string
}

// at adds a finding at a field below the base. If the field is missing, its place is that
// of the nearest value that would contain it.
func (r *reporter) at(fields []string, format string, args ...any) *Finding {
	last, _ := r.base.Find(fields...)
	return r.add(last, joinPath(r.basePath(), fields...), format, args...)
}

// add adds a finding at a value.
func (r *reporter) add(v manifest.Value, path, format string, args ...any) *Finding {
	if len(r.result.Findings)+len(r.result.Ignored) == maxFindings {
		r.result.Omitted++
		return &Finding{}
	}
	o := r.object
	r.result.Findings = append(r.result.Findings, Finding{
		Rule: r.rule.ID, Severity: r.rule.Severity, Object: Object{o.APIVersion, o.Kind, o.Namespace, o.Name}, Container: r.container, In: r.basePath(),
		Path: path, Place: r.document.SourceOf(o, path, v), Message: fmt.Sprintf(format, args...), Fix: r.rule.Fix,
		identity: r.identify(path), object: o,
	})
	return &r.result.Findings[len(r.result.Findings)-1]
}

// note adds a note about what the rule could not decide.
func (r *reporter) note(format string, args ...any) {
	if len(r.result.Notes) < maxFindings {
		r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
	}
}

func (r *reporter) basePath() string {
	if r.list == "" {
		return r.pod
	}
	return fmt.Sprintf("%s.%s[%d]", r.pod, r.list, r.index)
}

// joinPath adds fields to a path, which may be empty.
func joinPath(path string, fields ...string) string {
	for _, f := range fields {
		if path != "" && !strings.HasPrefix(f, "[") {
			path += "."
		}
		path += f
	}
	return path
}
