package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Cause explains differences that have the same origin.
type Cause struct {
	Title string   `json:"title"` // "nginx 1.22.1-9 on most, 1.24.0-1 on web-3"
	Odd   []string `json:"odd,omitempty"`
	Kind  Kind     `json:"kind"`
	Files []string `json:"files,omitempty"`
	Facts []string `json:"facts,omitempty"` // "section key"
	Why   string   `json:"why,omitempty"`   // by the record of runs, where there is one
}

// A Kind is the kind of a cause.
type Kind string

// The kinds.
const (
	ByPackage Kind = "package"  // another version, or none
	ByAccount Kind = "account"  // users, groups and their rights
	BySetting Kind = "setting"  // services, jobs, the kernel
	ByEdit    Kind = "edit"     // a file of a package that was changed or removed
	ByHand    Kind = "unowned"  // a file that belongs to no package
	ByResult  Kind = "derived"  // files that are generated from others
	Platform  Kind = "platform" // release, kernel
)

// kinds are all kinds in the order of a report, from the one that explains most to the
// one that explains least.
var kinds = []Kind{Platform, ByPackage, ByAccount, BySetting, ByEdit, ByHand, ByResult}

// kindOf maps the section of a fact to the kind of its cause.
var kindOf = map[facts.Section]Kind{
	facts.System: Platform, facts.Package: ByPackage, facts.User: ByAccount, facts.Group: ByAccount, facts.Sudoers: ByAccount,
	facts.Service: BySetting, facts.Running: BySetting, facts.Timer: BySetting, facts.Unit: BySetting, facts.SysctlFile: BySetting, facts.Cron: BySetting, facts.SSH: BySetting, facts.TLS: BySetting, facts.Sysctl: BySetting, facts.Mount: BySetting, facts.Module: BySetting, facts.Listener: BySetting,
}

// explain groups differences by cause. Each difference has one cause.
func explain(m majority, all []Difference) []Cause {
	e := explainer{majority: m, causes: map[string]*Cause{}, phrases: map[string][]string{}}
	// Facts come first, because they explain files: a package's version explains
	// all files of the package.
	for _, d := range all {
		if d.Section != File {
			e.addFact(d)
		}
	}
	for _, d := range all {
		if d.Section == File {
			e.addFile(d)
		}
	}
	list := []Cause{}
	for _, key := range e.order {
		c := e.causes[key]
		if c.Title == "" {
			c.Title = summarize(e.phrases[key])
		}
		list = append(list, *c)
	}
	slices.SortStableFunc(list, func(a, b Cause) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return list
}

type explainer struct {
	majority majority
	causes   map[string]*Cause
	order    []string
	phrases  map[string][]string // one for each fact, by the key of the cause
}

func (e *explainer) cause(key string, kind Kind, d Difference, title string) *Cause {
	c := e.causes[key]
	if c == nil {
		c = &Cause{Title: title, Odd: d.Odd, Kind: kind}
		e.causes[key] = c
		e.order = append(e.order, key)
	}
	return c
}

// addFact adds a fact to the cause with its key, or to a new one.
func (e *explainer) addFact(d Difference) {
	name := d.Name()
	key := causeKey(d)
	c := e.cause(key, kindOf[d.Section], d, "")
	what := name
	if len(c.Facts) > 0 {
		what = shortName(d)
	}
	c.Facts = append(c.Facts, name)
	e.phrases[key] = append(e.phrases[key], what+": "+e.majority.describe(d))
}

// causeKey returns the key of a fact's cause. It is the same for facts about one unit
// or one program's configuration that differ on the same servers.
func causeKey(d Difference) string {
	who := " on " + strings.Join(d.Odd, ", ")
	switch d.Section {
	case facts.Service, facts.Running, facts.Timer:
		return "unit " + d.Key + who
	case facts.Unit:
		unit, _, _ := strings.Cut(d.Key, ": ")
		return "unit " + unit + who
	case facts.Sysctl, facts.SysctlFile:
		return "sysctl " + d.Key + who
	case facts.SSH:
		return string(facts.SSH) + who
	case facts.TLS:
		file, _, _ := strings.Cut(d.Key, ": ")
		return string(facts.TLS) + " " + file + who
	}
	return d.Name()
}

// shortName distinguishes a fact from others with the same cause.
func shortName(d Difference) string {
	switch d.Section {
	case facts.SSH:
		return d.Key
	case facts.TLS, facts.Unit:
		_, keyword, _ := strings.Cut(d.Key, ": ")
		return keyword
	}
	return string(d.Section)
}

// maxPhrases bounds the facts in a title.
const maxPhrases = 5

func summarize(said []string) string {
	if more := len(said) - maxPhrases; more > 0 {
		return strings.Join(said[:maxPhrases], " / ") + fmt.Sprintf(" / and %d more", more)
	}
	return strings.Join(said, " / ")
}

// addFile adds a file to its cause: the version of its package, a fact that is read
// from it, an edit, or the lack of a package.
func (e *explainer) addFile(d Difference) {
	c := e.packageOf(d)
	if c == nil {
		c = e.factOf(d)
	}
	if c != nil {
		c.Files = append(c.Files, d.Key)
		return
	}
	kind, what := ByHand, "that no package owns"
	switch {
	case d.Derived:
		kind, what = ByResult, "made from others"
	case d.Package != "":
		kind, what = ByEdit, "of package "+d.Package
	}
	who := "split"
	if !d.Split {
		who = "on " + strings.Join(d.Odd, ", ")
	}
	key := string(kind) + " " + d.Package + " " + who
	c = e.cause(key, kind, d, "")
	c.Files = append(c.Files, d.Key)
	c.Title = fmt.Sprintf("%s %s, %s", text.Count(len(c.Files), "file"), what, who)
	if kind == ByEdit {
		c.Title = fmt.Sprintf("%s %s edited or removed, %s", text.Count(len(c.Files), "file"), what, who)
	}
}

// packageOf returns the cause of a difference in a file's package, nil if there is
// none or it is on other servers.
func (e *explainer) packageOf(d Difference) *Cause {
	if d.Package == "" {
		return nil
	}
	c := e.causes[string(facts.Package)+" "+d.Package]
	if c == nil {
		return nil
	}
	// A package without a majority explains its files on any server.
	if slices.Equal(c.Odd, d.Odd) || len(c.Odd) == 0 {
		return c
	}
	return nil
}

// factOf returns the cause with a fact that is read from a file and differs on the
// same servers, nil if there is none. The order of the causes makes the result the
// same each time.
func (e *explainer) factOf(d Difference) *Cause {
	for _, key := range e.order {
		c := e.causes[key]
		if slices.Equal(c.Odd, d.Odd) && slices.ContainsFunc(c.Facts, func(f string) bool { return facts.IsReadFrom(f, d.Key) }) {
			return c
		}
	}
	return nil
}

// describe returns which servers have which value: "1.22 on most, 1.24 on web-3".
func (m majority) describe(d Difference) string {
	value := func(s string) string {
		if v, has := d.Values[s]; has {
			return v
		}
		if d.Section == facts.Running {
			return "inactive"
		}
		return "none"
	}
	var parts []string
	if !d.Split {
		for _, s := range m.servers {
			if !slices.Contains(d.Odd, s) {
				parts = append(parts, value(s)+" on "+m.name())
				break
			}
		}
	}
	groups := map[string][]string{}
	var order []string
	for _, s := range m.servers {
		if !d.Split && !slices.Contains(d.Odd, s) {
			continue
		}
		v := value(s)
		if groups[v] == nil {
			order = append(order, v)
		}
		groups[v] = append(groups[v], s)
	}
	for _, v := range order {
		parts = append(parts, v+" on "+strings.Join(groups[v], ", "))
	}
	return strings.Join(parts, "; ")
}
