package report

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServerPlan is the document of `servers plan -o json`.
type ServerPlan struct {
	document.Header
	Repair     []servers.Repair  `json:"repair"`
	Split      int               `json:"split"`             // differences without a majority
	Replace    *Replacement      `json:"replace,omitempty"` // absent if every server deviates, or Incomplete has the reason
	Unreached  map[string]string `json:"unreached,omitempty"`
	Incomplete []string          `json:"incomplete,omitempty"` // what could not be read
	verdict    Verdict
}

// A Replacement is what would run instead of all the servers of a plan.
type Replacement struct {
	Like     string            `json:"like"` // the server that would be captured
	Packages int64             `json:"packagesBytes"`
	Config   int64             `json:"configBytes"`
	Services []servers.Service `json:"services"`
	Data     []servers.Data    `json:"data"`
	Losses   []servers.Loss    `json:"losses"`
}

// NewServerPlan returns the document of a plan.
func NewServerPlan(p servers.Plan) ServerPlan {
	d := ServerPlan{
		Header: document.NewHeader(document.ServerPlan), Repair: p.Repairs, Split: p.Split, Unreached: p.Comparison.Unreached,
		verdict: verdictOf(p.Comparison.Differs(), !p.Complete()),
	}
	if d.Repair == nil {
		d.Repair = []servers.Repair{} // not null in JSON
	}
	if p.CaptureErr != nil {
		d.Incomplete = []string{p.CaptureErr.Error()}
	}
	if c := p.Capture; c != nil {
		d.Replace = &Replacement{
			Like: p.Model, Packages: c.Packages.Bytes, Config: c.Config.Bytes, Services: c.Services, Data: c.Data, Losses: c.Losses,
		}
	}
	return d
}

// Verdict returns Incomplete if something could not be read or compared, and
// Findings if the servers differ.
func (d ServerPlan) Verdict() Verdict { return d.verdict }

// WriteText implements Text.
func (d ServerPlan) WriteText(w io.Writer, _ bool) error {
	l := newLineWriter(w)
	l.printf("repair in place")
	if len(d.Repair) == 0 {
		l.printf("  nothing: no server deviates")
	}
	for _, r := range d.Repair {
		l.repair(r)
	}
	if d.Split > 0 {
		l.printf("  %d differences are split: decide who is right, with --baseline", d.Split)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Unreached)) {
		l.printf("  UNREACHED %s: %s", name, firstLine(d.Unreached[name], 300))
	}
	l.printf("replace")
	switch {
	case d.Replace != nil:
		l.replacement(d.Replace)
	case len(d.Incomplete) == 0:
		l.printf("  no server is as most are: nothing is right to be captured")
	}
	for _, reason := range d.Incomplete {
		l.printf("  INCOMPLETE %s", oneLine(reason))
	}
	return l.Flush()
}

func (l lineWriter) repair(r servers.Repair) {
	l.printf("  %s", r.Server)
	if len(r.Packages) > 0 {
		var flags []string
		for _, p := range r.Packages {
			flags = append(flags, "--package "+p.String())
		}
		l.printf("    adamant servers update %s %s", r.Server, strings.Join(flags, " "))
	}
	for _, step := range []struct {
		verb  string
		items []string
	}{{"purge", r.Purge}, {"copy from another", r.Copy}, {"remove", r.Remove}, {"by hand", r.ByHand}} {
		for i, item := range step.items {
			if i == maxListed {
				l.printf("    … and %d more to %s", len(step.items)-i, step.verb)
				break
			}
			l.printf("    %s: %s", step.verb, item)
		}
	}
}

func (l lineWriter) replacement(r *Replacement) {
	l.printf("  all of them by instances of one image, captured from %s: packages %s, configuration %s", r.Like, text.Bytes(r.Packages), text.Bytes(r.Config))
	for _, s := range r.Services {
		l.printf("    service %s: %s%s", s.Name, strings.Join(s.Command, " "), ports(s))
	}
	if len(r.Services) == 0 {
		l.printf("    no service that would run in a container")
	}
	for _, d := range r.Data {
		l.printf("    data %s: %d files, %s", d.Path, d.Entries, text.Bytes(d.Bytes))
	}
	l.printf("    not captured: %d things; adamant servers capture %s --out DIR lists them", len(r.Losses), r.Like)
}
