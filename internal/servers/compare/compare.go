package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Difference is a fact or a path that is not the same on all servers.
type Difference struct {
	Section facts.Section     `json:"section"` // File for a path
	Key     string            `json:"key"`
	Values  map[string]string `json:"values"`             // by server; servers that do not have it are missing
	Usual   string            `json:"usual,omitempty"`    // the value of most servers; empty also if most do not have it
	Odd     []string          `json:"odd,omitempty"`      // servers that deviate from most; none if there is no majority
	Split   bool              `json:"split,omitempty"`    // no value has a majority
	Sides   []Side            `json:"sides,omitempty"`    // of a split: which servers agree
	Fields  []string          `json:"fields,omitempty"`   // that differ of a path, named as by drift
	Package string            `json:"package,omitempty"`  // that contains it
	Edited  bool              `json:"edited,omitempty"`   // on one of the servers it is not as the package has it
	Derived bool              `json:"derived,omitempty"`  // it is generated from other files
	Hidden  string            `json:"hidden,omitempty"`   // why there is no text diff
	Text    string            `json:"textDiff,omitempty"` // unified, without secrets
}

// File is the section of differences between files.
const File facts.Section = "file"

// Name returns how causes name the difference: the path of a file, or "section key".
func (d Difference) Name() string {
	if d.Section == File {
		return d.Key
	}
	return facts.Fact{Section: d.Section, Key: d.Key}.Name()
}

// An Alarm is a file that must differ between servers and does not.
type Alarm struct {
	Path    string   `json:"path"`
	Servers []string `json:"servers"`
}

// A Comparison is the differences between servers, with their causes.
type Comparison struct {
	Servers     []string                   `json:"servers"`
	Baseline    string                     `json:"baseline,omitempty"` // the server that is right; without it most decide
	Entries     map[string]int             `json:"entries"`            // compared, by server
	Expected    map[facts.Expected]int     `json:"expected"`           // files that differ by design, the most on any server
	Causes      []Cause                    `json:"causes"`
	Differences []Difference               `json:"differences"`
	Alarms      []Alarm                    `json:"alarms"`
	Unknowns    map[string][]facts.Unknown `json:"unknowns"`            // by server
	Unreached   map[string]string          `json:"unreached,omitempty"` // why, by server
	Notes       map[string]string          `json:"notes,omitempty"`     // by server: how it was read, if not by an agent
}

// Compare asks the agents on servers and compares their answers. It needs no
// reference: the majority decides, and a difference without a majority is Split. With
// a baseline, which must be one of the peers, the others deviate from it. Directories
// that are equal on all servers are not requested. A server that is lost meanwhile, or
// whose agent violates the protocol, is unreached, and the others are compared without
// it.
func Compare(ctx context.Context, peers []*facts.Peer, baseline *facts.Peer) (Comparison, error) {
	// After a loss everything is compared again, because the lost server may have
	// been part of a majority.
	unreached := map[string]string{}
	for {
		c, err := compareOnce(ctx, peers, baseline)
		c.Unreached = unreached
		var lost *facts.PeerError
		if !errors.As(err, &lost) || ctx.Err() != nil || baseline != nil && baseline.Name == lost.Name {
			return c, err
		}
		unreached[lost.Name] = lost.Err.Error()
		peers = slices.DeleteFunc(slices.Clone(peers), func(p *facts.Peer) bool { return p.Name == lost.Name })
	}
}

// compareOnce compares servers, and fails if one of them fails.
func compareOnce(ctx context.Context, peers []*facts.Peer, baseline *facts.Peer) (Comparison, error) {
	c := Comparison{Entries: map[string]int{}, Expected: map[facts.Expected]int{}, Alarms: []Alarm{}, Unknowns: map[string][]facts.Unknown{}, Notes: map[string]string{}}
	for _, p := range peers {
		if slices.Contains(c.Servers, p.Name) {
			return c, fmt.Errorf("%s is among the servers twice", p.Name)
		}
		c.Servers = append(c.Servers, p.Name)
		c.Entries[p.Name] = p.Summary.Entries
		for class, n := range p.Summary.Expected {
			c.Expected[class] = max(c.Expected[class], n)
		}
		if p.Note != "" {
			c.Notes[p.Name] = p.Note
		}
		if len(p.Summary.Unknowns) > 0 {
			c.Unknowns[p.Name] = p.Summary.Unknowns
		}
	}
	m := majority{servers: c.Servers}
	if baseline != nil {
		c.Baseline, m.baseline = baseline.Name, baseline.Name
	}
	c.Alarms = append(c.Alarms, alarms(peers)...)
	c.Differences = factDifferences(peers, m)
	files, err := fileDifferences(ctx, peers, m, maxDifferences)
	if err != nil {
		return c, err
	}
	if err := addOwners(ctx, peers, files); err != nil {
		return c, err
	}
	if err := addTextDiffs(ctx, peers, files); err != nil {
		return c, err
	}
	libraries, err := libraryVersions(ctx, peers, files)
	if err != nil {
		return c, err
	}
	c.Differences = append(c.Differences, files...)
	c.Causes = explain(m, c.Differences, libraries)
	return c, nil
}

// Differs reports whether anything was found.
func (c Comparison) Differs() bool { return len(c.Differences) > 0 || len(c.Alarms) > 0 }

// Complete reports whether everything could be compared.
func (c Comparison) Complete() bool { return len(c.Unknowns) == 0 && len(c.Unreached) == 0 }

// Clean reports whether nothing differs, nothing alarms and nothing is unknown.
func (c Comparison) Clean() bool { return !c.Differs() && c.Complete() }

// factDifferences compares facts by section and key. A section that is unknown of a
// server, such as the kernel's of an image, is not compared.
func factDifferences(peers []*facts.Peer, m majority) []Difference {
	values := map[facts.Fact]map[string]string{} // by fact, without its value, and server
	unknown := map[facts.Section]bool{}
	for _, p := range peers {
		addUnknown(unknown, p.Summary.Unknowns)
	}
	for _, p := range peers {
		for _, f := range p.Facts {
			// Facts that a peer cannot have, or whose section is unknown of one, would
			// look like differences.
			if facts.IsLiveOnly(f) && slices.ContainsFunc(peers, func(p *facts.Peer) bool { return !p.Live }) || unknown[f.Section] {
				continue
			}
			at := facts.Fact{Section: f.Section, Key: f.Key}
			if values[at] == nil {
				values[at] = map[string]string{}
			}
			values[at][p.Name] = f.Value
		}
	}
	var list []Difference
	for _, at := range slices.SortedFunc(maps.Keys(values), facts.CompareKeys) {
		if d, differs := m.difference(values[at]); differs {
			d.Section, d.Key = at.Section, at.Key
			list = append(list, d)
		}
	}
	return list
}

// addUnknown adds the sections that were not read.
func addUnknown(sections map[facts.Section]bool, unknowns []facts.Unknown) {
	for _, u := range unknowns {
		if u.Section != "" {
			sections[u.Section] = true
		}
	}
}

// withoutPast leaves out snapshots of servers that are compared themselves, because
// a server shares its identity with its own past.
func withoutPast(peers []*facts.Peer, servers []string) []string {
	var list []string
	for _, p := range peers {
		if slices.Contains(servers, p.Name) && !(p.Was != "" && slices.Contains(servers, p.Was)) {
			list = append(list, p.Name)
		}
	}
	return list
}

// alarms returns the identities that several servers share.
func alarms(peers []*facts.Peer) []Alarm {
	type identity struct{ path, digest string }
	owners := map[identity][]string{}
	for _, p := range peers {
		for _, f := range p.Summary.Identities {
			owners[identity{f.Path, f.Digest}] = append(owners[identity{f.Path, f.Digest}], p.Name)
		}
	}
	var list []Alarm
	for id, servers := range owners {
		servers = withoutPast(peers, servers)
		if len(servers) > 1 {
			list = append(list, Alarm{id.path, servers})
		}
	}
	slices.SortFunc(list, func(a, b Alarm) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return slices.Compare(a.Servers, b.Servers)
	})
	return list
}
