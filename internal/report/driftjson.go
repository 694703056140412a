package report

import (
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/text"
)

// DriftReport is the JSON document of a drift report. Names are as they are in
// the instance; what JSON cannot hold, bytes that are not UTF-8, is written
// \xNN, in hexadecimal.
type DriftReport struct {
	document.Header
	Name     string         `json:"name"`
	Summary  DriftSummary   `json:"summary"`
	Changes  []DriftChange  `json:"changes"`  // sorted by path
	Unknowns []DriftUnknown `json:"unknowns"` // sorted by path
	// Programs, libraries and scripts in writable volumes that are not those of the image, with
	// --volumes. They are no drift. At most 1,000 are listed.
	Programs        []DriftChange `json:"programs,omitempty"`
	OmittedPrograms int           `json:"omittedPrograms,omitempty"`
	// Process IDs, one of each mount namespace that belongs to a user namespace which the
	// container made, as the sandbox of a browser. No other process sees these mounts, which
	// are no drift. At most 100 are listed.
	PrivateMounts        []int `json:"privateMounts,omitempty"`
	OmittedPrivateMounts int   `json:"omittedPrivateMounts,omitempty"`
}

// DriftSummary counts. An instance is clean only if nothing is unknown.
type DriftSummary struct {
	Clean      bool                   `json:"clean"`
	Changes    int                    `json:"changes"`
	Unknowns   int                    `json:"unknowns"`
	Severities map[drift.Severity]int `json:"severities"` // all four of them
	// How many of the changes and unknowns are not listed, because a report is bounded. The
	// most severe changes are listed.
	OmittedChanges  int `json:"omittedChanges,omitempty"`
	OmittedUnknowns int `json:"omittedUnknowns,omitempty"`
}

// DriftUnknown is a path that could not be read or compared, with the reason.
type DriftUnknown struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// DriftChange is one path that differs.
type DriftChange struct {
	Path     string         `json:"path"`
	Kind     drift.Kind     `json:"kind"`             // added, changed, deleted; mount: not as in the container's specification; running: a program without a file
	Fields   []string       `json:"fields,omitempty"` // of a changed one: content, type, mode, owner, xattr, capability, target, device
	Class    drift.Class    `json:"class"`
	Severity drift.Severity `json:"severity"`
	Reason   string         `json:"reason"`
	Detail   string         `json:"detail,omitempty"` // of mount and running: what was found
	From     string         `json:"from,omitempty"`   // where an added directory was renamed from
	Want     *DriftEntry    `json:"want,omitempty"`   // absent if added
	Got      *DriftEntry    `json:"got,omitempty"`    // absent if deleted
	Diff     string         `json:"diff,omitempty"`
}

// DriftEntry is one side of a change.
type DriftEntry struct {
	Type   string            `json:"type"` // "regular file", "directory", "symbolic link", …
	Mode   string            `json:"mode"` // octal, four digits
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Size   *int64            `json:"size,omitempty"`   // bytes of a regular file
	Digest string            `json:"digest,omitempty"` // if it was computed
	Target string            `json:"target,omitempty"`
	Device string            `json:"device,omitempty"` // "major:minor"
	Xattrs map[string]string `json:"xattrs,omitempty"` // values as text without secrets, or in hexadecimal after 0x
}

// NewDriftReport makes the document of a report.
func NewDriftReport(name string, r drift.Report) DriftReport {
	doc := DriftReport{
		Header: document.NewHeader(document.DriftReport), Name: utf8Text(name),
		Summary: DriftSummary{
			Clean: r.Clean(), Changes: r.Len(), Unknowns: r.UnknownLen(),
			Severities:     map[drift.Severity]int{},
			OmittedChanges: r.Len() - len(r.Changes), OmittedUnknowns: r.OmittedUnknowns,
		},
		Changes: []DriftChange{}, Unknowns: []DriftUnknown{},
	}
	counts := r.Counts()
	for _, severity := range drift.Severities() {
		doc.Summary.Severities[severity] = counts[severity]
	}
	for _, ch := range r.Changes {
		doc.Changes = append(doc.Changes, newDriftChange(ch))
	}
	for _, ch := range r.Programs {
		doc.Programs = append(doc.Programs, newDriftChange(ch))
	}
	doc.OmittedPrograms = r.OmittedPrograms
	doc.PrivateMounts, doc.OmittedPrivateMounts = r.PrivateMounts, r.OmittedPrivateMounts
	for _, u := range r.Unknowns {
		doc.Unknowns = append(doc.Unknowns, DriftUnknown{Path: utf8Text(u.Path), Reason: utf8Text(u.Reason())})
	}
	return doc
}

func newDriftChange(ch drift.Change) DriftChange {
	return DriftChange{
		Path: utf8Text(ch.Path), Kind: ch.Kind, Fields: ch.Fields,
		Class: ch.Class, Severity: ch.Severity, Reason: ch.Reason, Detail: utf8Text(ch.Detail), From: utf8Text(ch.From),
		Want: driftEntry(ch.Want), Got: driftEntry(ch.Got), Diff: ch.Diff,
	}
}

func driftEntry(e *tree.Entry) *DriftEntry {
	if e == nil {
		return nil
	}
	d := &DriftEntry{
		Type: e.Kind.String(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID,
		Digest: e.Digest, Target: utf8Text(e.Target),
	}
	switch e.Kind {
	case tree.Regular:
		d.Size = &e.Size
	case tree.CharDevice, tree.BlockDevice:
		d.Device = fmt.Sprintf("%d:%d", e.Major, e.Minor)
	}
	for name, value := range e.Xattrs {
		if d.Xattrs == nil {
			d.Xattrs = make(map[string]string)
		}
		d.Xattrs[utf8Text(name)] = xattrText(value)
	}
	return d
}

func xattrText(value string) string {
	if text.Escape(value) != value {
		return "0x" + hex.EncodeToString([]byte(value))
	}
	return drift.Redact(value)
}

// utf8Text keeps names apart that JSON would make the same.
func utf8Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return text.Escape(s)
}
