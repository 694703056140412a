package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// Limits of a configuration.
const (
	MaxConfigSize       = 1 << 20 // bytes
	maxConfigExceptions = 1000
	maxLabels           = 100 // of a selector
)

// A Config is the configuration of a folder.
type Config struct {
	File       string
	Exceptions []Exception

	byRule map[string][]*Exception
}

// ParseConfig reads a configuration, strictly: what it does not know is an error, and so
// is an exception that is incomplete. Errors are of type manifest.Errors.
func ParseConfig(file string, data []byte) (*Config, error) {
	p := configParser{file: file, config: &Config{File: file, byRule: map[string][]*Exception{}}}
	if len(data) > MaxConfigSize {
		return nil, manifest.Errors{{File: file, Detail: fmt.Sprintf("larger than %d MiB", MaxConfigSize>>20)}}
	}
	documents := manifest.ReadDocuments(file, 1, data)
	if len(documents) == 0 {
		return p.config, nil // it has only comments
	}
	p.document = &documents[0]
	for _, d := range documents {
		p.errs = append(p.errs, d.NotUnderstood...)
		for _, e := range d.Ambiguous {
			e.Hint = "write it once"
			p.errs = append(p.errs, e)
		}
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	if len(documents) > 1 || len(p.document.Objects) != 1 || !p.document.Objects[0].Value.IsMapping() {
		return nil, manifest.Errors{{File: file, Line: 1, Detail: "a configuration is one mapping, with the field exceptions"}}
	}
	p.fields(p.document.Objects[0].Value, "", map[string]func(manifest.Value, string){"exceptions": p.exceptions})
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	for i := range p.config.Exceptions {
		e := &p.config.Exceptions[i]
		for _, id := range e.Rules {
			p.config.byRule[id] = append(p.config.byRule[id], e)
		}
	}
	return p.config, nil
}

type configParser struct {
	file     string
	document *manifest.Document
	config   *Config
	errs     manifest.Errors
}

func (p *configParser) fail(v manifest.Value, path, hint, format string, args ...any) {
	at := p.document.PlaceOf(v)
	p.errs = append(p.errs, manifest.FieldError{File: p.file, Line: at.Line, Column: at.Column, Path: path, Detail: fmt.Sprintf(format, args...), Hint: hint})
}

// fields reads the fields of a mapping.
func (p *configParser) fields(v manifest.Value, path string, known map[string]func(manifest.Value, string)) {
	if !v.IsMapping() {
		p.fail(v, path, "", "expected a mapping, found %s", v.Describe())
		return
	}
	for name, value := range v.Entries() {
		at := joinPath(path, cut(name))
		if read := known[name]; read != nil {
			read(value, at)
			continue
		}
		hint := ""
		for field := range known {
			if manifest.Resembles(name, field) {
				hint = "did you mean " + field + "?"
			}
		}
		p.fail(value, at, hint, "unknown field")
	}
}

// list reads the items of a list.
func (p *configParser) list(v manifest.Value, path string, read func(manifest.Value, string)) {
	if !v.IsList() {
		p.fail(v, path, "", "expected a list, found %s", v.Describe())
		return
	}
	for i, item := range v.Items() {
		read(item, path+"["+itoa(i)+"]")
	}
}

// text returns a function that reads a text into out.
func (p *configParser) text(out *string) func(manifest.Value, string) {
	return func(v manifest.Value, path string) {
		if *out = v.Text(); *out == "" {
			p.fail(v, path, "", "expected a text, found %s", v.Describe())
		}
	}
}

func (p *configParser) exceptions(v manifest.Value, path string) {
	p.list(v, path, func(v manifest.Value, at string) {
		switch {
		case len(p.config.Exceptions) == maxConfigExceptions:
			if len(p.errs) == 0 {
				p.fail(v, at, "", "more than %d exceptions", maxConfigExceptions)
			}
		default:
			p.config.Exceptions = append(p.config.Exceptions, p.exception(v, at))
		}
	})
}

func (p *configParser) exception(v manifest.Value, path string) Exception {
	e := Exception{Path: path, Place: p.document.PlaceOf(v)}
	before := len(p.errs)
	p.fields(v, path, map[string]func(manifest.Value, string){
		"rules": func(v manifest.Value, at string) {
			p.list(v, at, func(v manifest.Value, at string) {
				var id string
				if p.text(&id)(v, at); len(e.Rules) <= len(Rules()) {
					e.Rules = append(e.Rules, id)
				}
			})
		},
		"selector": func(v manifest.Value, at string) { p.selector(v, at, &e.Selector) },
		"until":    func(v manifest.Value, _ string) { e.Until = v.Scalar() }, // YAML has a type for dates
		"owner":    p.text(&e.Owner),
		"reason":   p.text(&e.Reason),
	})
	if len(p.errs) > before {
		return e
	}
	if len(e.Rules) == 0 {
		p.fail(v, path, "rules: [root-not-read-only]", "it has no rules")
	}
	if len(e.Rules) > len(Rules()) {
		p.fail(v.Get("rules"), path+".rules", "", "more rules than there are")
		return e
	}
	if e.Selector.isEmpty() {
		p.fail(v, path, `selector: {kind: Deployment, name: "web-*"}; with --rules, a rule is not evaluated at all`, "it has no selector")
	}
	for _, problem := range e.problems() {
		at := v.Get(problem.part)
		if !at.Exists() {
			at = v
		}
		p.fail(at, joinPath(path, problem.part), "", "%s", problem.detail)
	}
	return e
}

func (p *configParser) selector(v manifest.Value, path string, s *Selector) {
	p.fields(v, path, map[string]func(manifest.Value, string){
		"kind":      p.text(&s.Kind),
		"namespace": p.text(&s.Namespace),
		"name":      p.text(&s.Name),
		"container": p.text(&s.Container),
		"labels": func(v manifest.Value, at string) {
			if !v.IsMapping() {
				p.fail(v, at, "", "expected a mapping, found %s", v.Describe())
				return
			}
			s.Labels = map[string]string{}
			for name, value := range v.Entries() {
				if len(s.Labels) == maxLabels {
					p.fail(value, at, "", "more than %d labels", maxLabels)
					return
				}
				var text string
				p.text(&text)(value, at+"["+strconv.Quote(cut(name))+"]")
				s.Labels[name] = text
			}
		},
	})
}

// A selection is the exceptions of configurations that are for one object. They are
// selected when a finding asks for them.
type selection struct {
	configs []*Config
	object  *manifest.Resource
	found   map[string][]*Exception // by rule
}

func newSelection(configs []*Config, o *manifest.Resource) *selection {
	return &selection{configs: configs, object: o, found: map[string][]*Exception{}}
}

// of returns the exceptions for findings of a rule.
func (s *selection) of(rule string) []*Exception {
	if len(s.configs) == 0 {
		return nil
	}
	list, ok := s.found[rule]
	if ok {
		return list
	}
	for _, c := range s.configs {
		for _, e := range c.byRule[rule] {
			if e.Selector.matchesObject(s.object) {
				list = append(list, e)
			}
		}
	}
	s.found[rule] = list
	return list
}

// A Tally counts what the exceptions of configurations are used for.
type Tally struct {
	Checker    Checker
	used       map[use]struct{}
	incomplete bool
	profiled   bool // a container had a profile
}

// Add counts the result of a document.
func (t *Tally) Add(d *manifest.Document, r Result) {
	t.profiled = t.profiled || r.Profiled > 0
	t.incomplete = t.incomplete || len(d.NotUnderstood)+r.Omitted > 0
	if t.used == nil {
		t.used = map[use]struct{}{}
	}
	for u := range r.used {
		t.used[u] = struct{}{}
	}
}

// Findings returns the findings about the exceptions of a configuration, after all documents
// were added. Whether one is unused is only known if everything was understood that it
// could be for, and all of that was checked.
func (t *Tally) Findings(c *Config, all bool) Result {
	result := Result{Configuration: true}
	rules := t.Checker.ruleSet()
	for i := range c.Exceptions {
		e := &c.Exceptions[i]
		report := func(id, format string, args ...any) {
			rule := rules[id]
			if rule == nil {
				return
			}
			f := Finding{Rule: id, Severity: rule.Severity, Path: e.Path, Place: e.Place, Message: fmt.Sprintf(format, args...), Fix: rule.Fix}
			f.identity.field = e.Path
			result.Findings = append(result.Findings, *f.about(f.Message, e.Selector.String()))
		}
		var unused []string
		for _, id := range e.Rules {
			if _, used := t.used[use{e, id}]; !used && rules[id] != nil && (t.profiled || !NeedsProfile(id)) {
				unused = append(unused, id)
			}
		}
		switch {
		case e.hasEnded(t.Checker.Today):
			if all || len(unused) < len(e.Rules) {
				report(ExceptionExpired, "the exception of %s for %s ended on %s, and ignores nothing any more", e.Owner, strings.Join(e.Rules, ", "), e.Until)
			}
		case all && !t.incomplete:
			for _, id := range unused {
				report(ExceptionUnused, "the exception of %s is for no finding of %s", e.Owner, id)
			}
		}
	}
	return result
}
