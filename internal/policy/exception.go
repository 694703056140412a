package policy

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// The rules about exceptions themselves. No exception ignores their findings.
const (
	ExceptionInvalid = "exception-invalid"
	ExceptionExpired = "exception-expired"
	ExceptionUnused  = "exception-unused"
)

// IsAboutExceptions reports whether a rule is one about exceptions.
func IsAboutExceptions(rule string) bool {
	return rule == ExceptionInvalid || rule == ExceptionExpired || rule == ExceptionUnused
}

// An Exception ignores findings until a day.
type Exception struct {
	Rules    []string
	Selector Selector // what it is for, in the object or file that it is written for
	Until    string   // the last day on which it ignores anything, in UTC: "2027-03-31"
	Owner    string
	Reason   string

	Place manifest.Place
	Path  string // of the annotation in its object, or of the item in its configuration
}

// hasEnded reports whether the exception ignores nothing any more.
func (e *Exception) hasEnded(today string) bool { return e.Until < today }

// A Selector is what an exception is for. Its fields are patterns with * and ?; an empty
// field is not compared.
type Selector struct {
	Kind, Namespace, Name string
	Labels                map[string]string // that the object has, with these values
	Container             string
}

func (s Selector) isEmpty() bool {
	return s.Kind+s.Namespace+s.Name+s.Container == "" && len(s.Labels) == 0
}

// String returns the selector in one line.
func (s Selector) String() string {
	return fmt.Sprintf("%q %q %q %q %q", s.Kind, s.Namespace, s.Name, s.Container, s.Labels)
}

// matchesObject reports whether the selector is for an object.
func (s Selector) matchesObject(o *manifest.Resource) bool {
	if !matches(s.Kind, o.Kind) || !matches(s.Namespace, o.Namespace) || !matches(s.Name, o.Name) {
		return false
	}
	labels := o.Value.Get("metadata", "labels")
	for name, want := range s.Labels {
		if v := labels.Get(name); !v.Exists() || v.Text() != want {
			return false
		}
	}
	return true
}

// maxName bounds what a pattern is compared with. No name in Kubernetes is as long.
const maxName = 1000

// matches reports whether a name has a pattern.
func matches(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, name)
	return err == nil && ok && len(name) <= maxName
}

// Limits of an exception. Its texts are repeated with each finding that it ignores.
const (
	maxReason     = 1000 // bytes
	maxExceptions = 100  // in the annotations of an object, or of a pod template
)

// problems returns the errors in an exception.
func (e *Exception) problems() []problem {
	var list []problem
	add := func(part, format string, args ...any) {
		list = append(list, problem{part, fmt.Sprintf(format, args...)})
	}
	for _, id := range e.Rules {
		if IsAboutExceptions(id) {
			add("rules", "findings of %s cannot be ignored", id)
		} else if _, err := Select([]string{id}); err != nil {
			add("rules", "%v", err)
		}
	}
	if e.Until == "" {
		add("until", "it has no end date: until is missing")
	} else if _, err := time.Parse(time.DateOnly, e.Until); err != nil {
		add("until", "until is %q: want a date such as 2027-03-31", e.Until)
	}
	for _, text := range []struct{ part, value string }{{"owner", e.Owner}, {"reason", e.Reason}} {
		switch {
		case text.value == "":
			add(text.part, "it has no %s", text.part)
		case len(text.value) > maxReason:
			add(text.part, "its %s is longer than %d bytes", text.part, maxReason)
		}
	}
	for _, p := range []struct{ part, value string }{
		{"selector.kind", e.Selector.Kind}, {"selector.namespace", e.Selector.Namespace}, {"selector.name", e.Selector.Name}, {"selector.container", e.Selector.Container},
	} {
		if _, err := path.Match(p.value, ""); err != nil || len(p.value) > maxName {
			add(p.part, "%q is not a pattern", p.value)
		}
	}
	return list
}

// A problem is an error in a field of an exception.
type problem struct{ part, detail string }

const (
	ignoreAnnotation = "adamant.sh/ignore"
	ignoreRule       = ignoreAnnotation + "."
)

// An annotated exception is one in an annotation.
type annotated struct {
	Exception
	value   manifest.Value
	invalid []problem
	pod     int // index of the pod whose template has it, or -1
	used    bool
}

// parseIgnore reads the value of an annotation: one exception in each line.
func parseIgnore(rule, text string) []annotated {
	var list []annotated
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if len(list) > maxExceptions { // which is refused
			break
		}
		list = append(list, parseIgnoreLine(rule, line))
	}
	if len(list) == 0 {
		list = append(list, parseIgnoreLine(rule, ""))
	}
	return list
}

// parseIgnoreLine reads "until=2027-03-31; owner=team; container=web; reason=why". The
// reason has the rest of the line.
func parseIgnoreLine(rule, line string) annotated {
	a := annotated{Exception: Exception{Rules: []string{rule}}}
	set := map[string]bool{}
	fields := map[string]*string{"until": &a.Until, "owner": &a.Owner, "container": &a.Selector.Container, "reason": &a.Reason}
	for rest := line; strings.TrimSpace(rest) != ""; {
		var part string
		if strings.HasPrefix(strings.TrimSpace(rest), "reason=") {
			part, rest = rest, ""
		} else {
			part, rest, _ = strings.Cut(rest, ";")
		}
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		name = strings.TrimSpace(name)
		field := fields[name]
		switch {
		case name == "" && !ok:
		case !ok || field == nil:
			a.invalid = append(a.invalid, problem{"", fmt.Sprintf("%q is none of until=DATE, owner=WHO, container=NAME and reason=WHY", cut(name))})
		case set[name]:
			a.invalid = append(a.invalid, problem{name, fmt.Sprintf("%s is set twice", name)})
		default:
			set[name] = true
			*field = strings.TrimSpace(value)
		}
	}
	if set["container"] && a.Selector.Container == "" {
		a.invalid = append(a.invalid, problem{"container", "container is empty"})
	}
	a.invalid = append(a.invalid, a.problems()...)
	return a
}

// cut shortens a text of a manifest for a message.
func cut(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// annotationsOf returns the exceptions in the metadata of a value.
func (r *reporter) annotationsOf(v manifest.Value, at string, pod int) []annotated {
	var list []annotated
	for name, value := range v.Get("metadata", "annotations").Entries() {
		if !strings.HasPrefix(name, ignoreAnnotation) {
			continue
		}
		var found []annotated
		rule, ok := strings.CutPrefix(name, ignoreRule)
		switch {
		case !ok:
			found = []annotated{{invalid: []problem{{"", fmt.Sprintf("there is no annotation %s: write %sRULE", cut(name), ignoreRule)}}}}
		case value.Text() == "":
			found = []annotated{{invalid: []problem{{"", fmt.Sprintf("expected a text such as %q, found %s", "until=2027-03-31; owner=team-shop; reason=why", value.Describe())}}}}
		default:
			found = parseIgnore(rule, value.Text())
		}
		if len(list)+len(found) > maxExceptions {
			found = []annotated{{invalid: []problem{{"", fmt.Sprintf("more than %d exceptions", maxExceptions)}}}}
		}
		for i := range found {
			found[i].value, found[i].pod = value, pod
			found[i].Path = joinPath(at, "metadata", "annotations") + "[" + name + "]"
			found[i].Place = r.document.SourceOf(r.object, found[i].Path, value)
		}
		list = append(list, found...)
		if len(list) > maxExceptions {
			break
		}
	}
	return list
}

// annotations returns the exceptions of an object and of its pod templates.
func (r *reporter) annotations() []annotated {
	list := r.annotationsOf(r.object.Value, "", -1)
	for i, p := range r.object.Pods {
		if at, ok := strings.CutSuffix(p.Path, ".spec"); ok { // the metadata of a Pod is that of the object
			list = append(list, r.annotationsOf(p.Template, at, i)...)
		}
	}
	return list
}

// except applies exceptions to the findings of an object, which begin at from. Those of pod
// i end at ends[i].
func (c Checker) except(r reporter, configs []*Config, from int, ends []int) {
	own := r.annotations()
	result := r.result
	selected := newSelection(configs, r.object)
	kept, pod := result.Findings[:from], 0
	for i, f := range result.Findings[from:] {
		for pod < len(ends) && from+i >= ends[pod] {
			pod++
		}
		var by *Exception
		for k := range own {
			a := &own[k]
			if len(a.invalid) == 0 && a.Rules[0] == f.Rule && (a.pod < 0 || a.pod == pod) && matches(a.Selector.Container, f.Container) {
				a.used = true
				if by == nil && !a.hasEnded(c.Today) {
					by = &a.Exception
				}
			}
		}
		for _, e := range selected.of(f.Rule) {
			if matches(e.Selector.Container, f.Container) {
				result.use(e, f.Rule)
				if by == nil && !e.hasEnded(c.Today) {
					by = e
				}
			}
		}
		if by != nil {
			result.Ignored = append(result.Ignored, Ignored{Finding: f, By: by})
		} else {
			kept = append(kept, f)
		}
	}
	clear(result.Findings[len(kept):])
	result.Findings = kept
	c.reportAnnotated(r, own)
}

// reportAnnotated adds the findings about exceptions in annotations.
func (c Checker) reportAnnotated(r reporter, list []annotated) {
	rules := c.ruleSet()
	for i := range list {
		a := &list[i]
		report := func(id, format string, args ...any) {
			if r.rule = rules[id]; r.rule != nil {
				r.base = r.object.Value
				r.add(a.value, a.Path, format, args...).about(fmt.Sprintf(format, args...))
			}
		}
		switch {
		case len(a.invalid) > 0:
			var details []string
			for _, p := range a.invalid {
				details = append(details, p.detail)
			}
			report(ExceptionInvalid, "it ignores nothing: %s", strings.Join(details, "; "))
		case a.hasEnded(c.Today):
			report(ExceptionExpired, "the exception of %s for %s ended on %s, and ignores nothing any more", a.Owner, a.Rules[0], a.Until)
		case !a.used && rules[a.Rules[0]] != nil && len(r.document.NotUnderstood) == 0 && (!NeedsProfile(a.Rules[0]) || len(c.Needs[r.object]) > 0):
			report(ExceptionUnused, "the exception of %s ignores nothing: %s has no finding here", a.Owner, a.Rules[0])
		}
	}
}

// ruleSet returns the rules by their IDs.
func (c Checker) ruleSet() map[string]*Rule {
	set := make(map[string]*Rule, len(c.Rules))
	for i := range c.Rules {
		set[c.Rules[i].ID] = &c.Rules[i]
	}
	return set
}

// A use is a finding of a rule that an exception of a configuration is for.
type use struct {
	exception *Exception
	rule      string
}

func (r *Result) use(e *Exception, rule string) {
	if r.used == nil {
		r.used = map[use]struct{}{}
	}
	r.used[use{e, rule}] = struct{}{}
}
