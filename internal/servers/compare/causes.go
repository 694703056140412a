package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
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

// The kinds. Those of files that decide who may do what come first.
const (
	ByKey     Kind = "authorized-keys" // SSH keys that log in
	BySetuid  Kind = "setuid"          // setuid and setgid files, and file capabilities
	ByPreload Kind = "ld.so.preload"
	ByPAM     Kind = "pam"
	BySource  Kind = "package-source" // repositories, keys and pins of package managers

	ByPackage   Kind = "package"   // another version, or none
	ByAccount   Kind = "account"   // users, groups and their rights
	BySetting   Kind = "setting"   // services, jobs, the kernel
	ByDropIn    Kind = "drop-in"   // settings of systemd's units
	ByEdit      Kind = "edit"      // a file of a package that was changed or removed
	ByLibrary   Kind = "library"   // a package of pip, npm or gem
	ByHand      Kind = "unowned"   // a file that belongs to no package
	ByContainer Kind = "container" // images and containers of a container runtime
	ByResult    Kind = "derived"   // files that are generated from others
	Platform    Kind = "platform"  // release, kernel
)

// kinds are all kinds in the order of a report: security first, then from the one that
// explains most to the one that explains least.
var kinds = []Kind{
	ByKey, BySetuid, ByPreload, ByPAM, BySource,
	Platform, ByPackage, ByAccount, BySetting, ByDropIn, ByEdit, ByLibrary, ByHand, ByContainer, ByResult,
}

// kindOf maps the section of a fact to the kind of its cause.
var kindOf = map[facts.Section]Kind{
	facts.System: Platform, facts.Package: ByPackage, facts.User: ByAccount, facts.Group: ByAccount, facts.Sudoers: ByAccount,
	facts.Service: BySetting, facts.Running: BySetting, facts.Timer: BySetting, facts.Unit: ByDropIn, facts.SysctlFile: BySetting, facts.Cron: BySetting, facts.SSH: BySetting, facts.TLS: BySetting, facts.Sysctl: BySetting, facts.Mount: BySetting, facts.Module: BySetting, facts.Listener: BySetting,
	facts.Diversion: BySetting, facts.StatOverride: BySetting, facts.Alternative: BySetting, facts.Runtime: BySetting,
}

// explain groups differences by cause. Each difference has one cause.
func explain(m majority, all []Difference, v versions) []Cause {
	e := explainer{majority: m, versions: v, causes: map[string]*Cause{}, phrases: map[string][]string{}}
	// Facts come first, because they explain files: a package's version explains
	// all files of the package.
	for _, d := range all {
		if d.Section != File {
			e.addFact(d)
		}
	}
	e.addFiles(slices.DeleteFunc(slices.Clone(all), func(d Difference) bool { return d.Section != File }))
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
	versions versions
	created  []string // the keys of causes of users that do not exist on all servers
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
	key := e.groupKey(d)
	if key == "" {
		key = causeKey(d)
	}
	if d.Section == facts.User && len(d.Values) < len(e.majority.servers) {
		e.created = append(e.created, key)
	}
	c := e.cause(key, kindOf[d.Section], d, "")
	what := name
	if len(c.Facts) > 0 {
		what = shortName(d)
	}
	c.Facts = append(c.Facts, name)
	phrase := what + ": " + e.majority.describe(d)
	if d.Section == facts.Sysctl && d.Key == sysctlFamily(d.Key) {
		e.phrases[key] = slices.Insert(e.phrases[key], 0, phrase)
		return
	}
	e.phrases[key] = append(e.phrases[key], phrase)
}

// causeKey returns the key of a fact's cause. It is the same for facts about one unit
// or one program's configuration that differ on the same servers.
func causeKey(d Difference) string {
	who := " on " + strings.Join(d.Odd, ", ")
	switch d.Section {
	case facts.Service, facts.Running, facts.Timer:
		return "unit " + d.Key + who
	case facts.Diversion:
		// A package that diverts files of others is the cause, if it differs itself.
		for _, v := range slices.Sorted(maps.Values(d.Values)) {
			if pkg, is := strings.CutPrefix(v, "by "); is {
				return string(facts.Package) + " " + pkg
			}
		}
	case facts.Unit:
		unit, _, _ := strings.Cut(d.Key, ": ")
		return "unit " + unit + who
	case facts.Sysctl, facts.SysctlFile:
		return "sysctl " + sysctlFamily(d.Key) + who
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
	case facts.SSH, facts.Sysctl:
		return d.Key
	case facts.Group, facts.Listener, facts.SysctlFile:
		return d.Name()
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

// packageOf returns the key of the cause of a difference in a file's package, empty if
// the package does not differ on the same servers.
func (e *explainer) packageOf(d Difference) string {
	key := string(facts.Package) + " " + d.Package
	c := e.causes[key]
	// A package without a majority explains its files on any server.
	if d.Package != "" && c != nil && (slices.Equal(c.Odd, d.Odd) || len(c.Odd) == 0) {
		return key
	}
	return ""
}

// factOf returns the key of the cause with a fact that is read from a file and differs
// on the same servers, empty if there is none. The order of the causes makes the result
// the same each time.
func (e *explainer) factOf(d Difference) string {
	for _, key := range e.order {
		c := e.causes[key]
		if slices.Equal(c.Odd, d.Odd) && slices.ContainsFunc(c.Facts, func(f string) bool { return facts.IsReadFrom(f, d.Key) }) {
			return key
		}
	}
	return ""
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
