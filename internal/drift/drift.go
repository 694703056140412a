// Package drift compares the tree that a root should have with the tree that it has.
// It is pure: its input is two trees, and its output a report. A path that could not
// be compared is an unknown and never counts as equal. Other packages, such as
// inspect, read the trees.
package drift

import (
	"maps"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Kind is how a path differs.
type Kind string

// The kinds of change.
const (
	Added   Kind = "added"
	Changed Kind = "changed"
	Deleted Kind = "deleted"
	Mounted Kind = "mount"   // the mounts at a path are not those of the container's specification
	Running Kind = "running" // a program runs whose file was deleted, or that never had one
)

// Class is the sort of file that a change touches.
type Class string

// The classes, from the most to the least significant.
const (
	Executable Class = "executable"
	Library    Class = "library"
	Script     Class = "script"
	Config     Class = "configuration"
	PackageDB  Class = "package-database"
	Data       Class = "data"
	Cache      Class = "cache"
	Log        Class = "log"
	MountTable Class = "mount" // of a change of mounts, not of files
)

// Severity ranks a change for a reader.
type Severity string

// The severities, highest first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// A Change is one path that differs.
type Change struct {
	Path     string      `json:"path"`
	Kind     Kind        `json:"kind"`
	Fields   []string    `json:"fields,omitempty"` // of a Changed: content, type, mode, owner, xattr, capability, target, device
	Class    Class       `json:"class"`
	Severity Severity    `json:"severity"`
	Reason   string      `json:"reason"`           // the rule that gave the severity, in words
	Detail   string      `json:"detail,omitempty"` // of Mounted and Running: what was found, in words
	From     string      `json:"from,omitempty"`   // of an Added directory: the path from which it was renamed, if known
	Want     *tree.Entry `json:"want,omitempty"`   // nil if Added, Mounted or Running
	Got      *tree.Entry `json:"got,omitempty"`    // nil if Deleted, Mounted or Running
	Diff     string      `json:"diff,omitempty"`   // unified text diff, cut at a limit; secrets are not shown
}

// A Report is all that differs between two trees, sorted by path. It is clean
// only if nothing differs and nothing is unknown.
type Report struct {
	Changes  []Change
	Unknowns []tree.Unknown
	// Omitted is the number of changes that are not in Changes because a report is
	// bounded, by severity. They are the least severe ones. OmittedUnknowns is the
	// number of further unknowns.
	Omitted         map[Severity]int
	OmittedUnknowns int
	// Programs are programs, libraries and scripts in volumes that the image does not have,
	// if they were asked for. They are no drift. OmittedPrograms is the number of those that
	// are not listed.
	Programs        []Change
	OmittedPrograms int
	// PrivateMounts are processes, one of each mount namespace that belongs to a user
	// namespace which the container made. No other process sees these mounts, which are no
	// drift. OmittedPrivateMounts is the number of further namespaces.
	PrivateMounts        []int
	OmittedPrivateMounts int
}

// Clean reports whether nothing differs and nothing is unknown.
func (r Report) Clean() bool { return r.Len() == 0 && r.UnknownLen() == 0 }

// Len returns the number of all changes, listed or not.
func (r Report) Len() int {
	n := len(r.Changes)
	for _, omitted := range r.Omitted {
		n += omitted
	}
	return n
}

// UnknownLen returns the number of all unknowns, listed or not.
func (r Report) UnknownLen() int { return len(r.Unknowns) + r.OmittedUnknowns }

// Counts returns the number of all changes by severity.
func (r Report) Counts() map[Severity]int {
	counts := maps.Clone(r.Omitted)
	if counts == nil {
		counts = map[Severity]int{}
	}
	for _, ch := range r.Changes {
		counts[ch.Severity]++
	}
	return counts
}

// Merge returns the changes and unknowns of two reports on the same container.
func (r Report) Merge(other Report) Report {
	m := Report{
		Changes:         slices.Concat(r.Changes, other.Changes),
		Unknowns:        slices.Concat(r.Unknowns, other.Unknowns),
		OmittedUnknowns: r.OmittedUnknowns + other.OmittedUnknowns,
		Programs:        slices.Concat(r.Programs, other.Programs),
		OmittedPrograms: r.OmittedPrograms + other.OmittedPrograms,

		PrivateMounts:        slices.Concat(r.PrivateMounts, other.PrivateMounts),
		OmittedPrivateMounts: r.OmittedPrivateMounts + other.OmittedPrivateMounts,
	}
	slices.SortStableFunc(m.Changes, func(a, b Change) int { return tree.ComparePaths(a.Path, b.Path) })
	slices.SortStableFunc(m.Unknowns, func(a, b tree.Unknown) int { return tree.ComparePaths(a.Path, b.Path) })
	for _, omitted := range []map[Severity]int{r.Omitted, other.Omitted} {
		for severity, n := range omitted {
			if m.Omitted == nil {
				m.Omitted = map[Severity]int{}
			}
			m.Omitted[severity] += n
		}
	}
	return m
}

// Severities returns all severities, highest first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }
