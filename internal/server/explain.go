package server

import (
	"fmt"
	"slices"
	"strings"
)

// A Cause explains differences by what they come of.
type Cause struct {
	Title string   `json:"title"` // "nginx 1.22.1-9 on most, 1.24.0-1 on web-3"
	Odd   []string `json:"odd,omitempty"`
	Kind  Kind     `json:"kind"`
	Files []string `json:"files,omitempty"`
	Facts []string `json:"facts,omitempty"` // "section key"
	Why   string   `json:"why,omitempty"`   // by the record of runs, where there is one
}

// A Kind says what sort of cause.
type Kind string

// The kinds, from what explains most to what explains least.
const (
	ByPackage Kind = "package"  // another version, or none
	ByAccount Kind = "account"  // users, groups and what they may do
	BySetting Kind = "setting"  // services, jobs, the kernel
	ByEdit    Kind = "edit"     // a file that a package brought and somebody changed or removed
	ByHand    Kind = "unowned"  // a file that no package brought
	ByResult  Kind = "derived"  // files that follow from others
	Platform  Kind = "platform" // release, kernel
)

var kinds = []Kind{Platform, ByPackage, ByAccount, BySetting, ByEdit, ByHand, ByResult}

// kindOf is the cause that a fact speaks of.
var kindOf = map[Section]Kind{
	System: Platform, Package: ByPackage, User: ByAccount, Group: ByAccount, Sudoers: ByAccount,
	Service: BySetting, Cron: BySetting, Sysctl: BySetting, Mount: BySetting, Module: BySetting, Listener: BySetting,
}

// accountFiles are what user and group facts are read from.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"}

// explain groups differences by cause: each is in one.
func explain(j jury, all []Difference) []Cause {
	e := explainer{jury: j, causes: map[string]*Cause{}}
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
		list = append(list, *e.causes[key])
	}
	slices.SortStableFunc(list, func(a, b Cause) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return list
}

type explainer struct {
	jury   jury
	causes map[string]*Cause
	order  []string
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

func (e *explainer) addFact(d Difference) {
	key := string(d.Section) + " " + d.Key
	c := e.cause(key, kindOf[d.Section], d, key+": "+e.jury.inWords(d))
	c.Facts = append(c.Facts, key)
}

// addFile finds the cause of a file: its package's version, an account, an edit,
// or that it is nobody's.
func (e *explainer) addFile(d Difference) {
	pkg := e.packageOf(d)
	switch {
	case pkg != nil:
		pkg.Files = append(pkg.Files, d.Key)
		return
	case slices.Contains(accountFiles, d.Key):
		for _, key := range e.order {
			c := e.causes[key]
			if c.Kind == ByAccount && slices.Equal(c.Odd, d.Odd) {
				c.Files = append(c.Files, d.Key)
				return
			}
		}
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
	c := e.cause(key, kind, d, "")
	c.Files = append(c.Files, d.Key)
	c.Title = fmt.Sprintf("%s %s, %s", counted(len(c.Files)), what, who)
	if kind == ByEdit {
		c.Title = fmt.Sprintf("%s %s edited or removed, %s", counted(len(c.Files)), what, who)
	}
}

// packageOf is the cause that a file's package is another on the very servers
// where the file is.
func (e *explainer) packageOf(d Difference) *Cause {
	if d.Package == "" {
		return nil
	}
	c := e.causes[string(Package)+" "+d.Package]
	if c == nil {
		return nil
	}
	if slices.Equal(c.Odd, d.Odd) || len(c.Odd) == 0 {
		return c
	}
	return nil
}

func counted(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// inWords says who has what: "1.22 on most, 1.24 on web-3".
func (j jury) inWords(d Difference) string {
	value := func(s string) string {
		if v, has := d.Values[s]; has {
			return v
		}
		return "none"
	}
	var parts []string
	if !d.Split {
		for _, s := range j.servers {
			if !slices.Contains(d.Odd, s) {
				parts = append(parts, value(s)+" on "+j.who())
				break
			}
		}
	}
	groups := map[string][]string{}
	var order []string
	for _, s := range j.servers {
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
