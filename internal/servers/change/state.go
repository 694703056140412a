package change

import (
	"time"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// Dir is where a server keeps the changes that were made to it.
const Dir = "/var/lib/adamant/changes"

// A Stage is how far a change is.
type Stage string

// The stages, in their order. A change ends as Unchanged, Confirmed, Reverted or
// Refused, or it is Interrupted by its server.
const (
	Saving      Stage = "saving"
	Changing    Stage = "changing"
	Checking    Stage = "checking"
	Unconfirmed Stage = "unconfirmed" // done, and to be reverted unless it is confirmed
	Reverting   Stage = "reverting"

	Refused     Stage = "refused"     // nothing was done
	Unchanged   Stage = "unchanged"   // it was done, and nothing is different
	Confirmed   Stage = "confirmed"   // it stays
	Reverted    Stage = "reverted"    // it was taken back
	Interrupted Stage = "interrupted" // whoever carried it out was killed, or the server was
)

// A State is what is known of a change.
type State struct {
	ID       string               `json:"id"`
	Stage    Stage                `json:"stage"`
	Began    time.Time            `json:"began"`
	Ended    time.Time            `json:"ended,omitzero"` // of the change itself
	Failed   bool                 `json:"failed"`
	Cause    string               `json:"cause,omitempty"`  // of the failure, in a sentence
	Output   string               `json:"output,omitempty"` // the end of it
	Facts    []compare.FactChange `json:"facts,omitempty"`
	Files    []compare.FileChange `json:"files,omitempty"` // the first of them, see Count
	Count    int                  `json:"count"`           // of files
	Unknowns []facts.Unknown      `json:"unknowns,omitempty"`
	Undo     *Undo                `json:"undo,omitempty"` // how it was taken back
}

// An Undo is how a change was taken back, and what of it is still there.
type Undo struct {
	Why       string    `json:"why"`
	At        time.Time `json:"at"`
	Restored  int       `json:"restored"`            // files
	Packages  []string  `json:"packages,omitempty"`  // that got back their version
	Left      []string  `json:"left,omitempty"`      // what is not as it was, the first of it
	LeftCount int       `json:"leftCount,omitempty"` // of all that is not
	Cause     string    `json:"cause,omitempty"`     // why not
}

// Brief is a state without what changed: what is told while there is more to
// come. A server that waits to be confirmed must not send it all first.
func (s State) Brief() State {
	s.Output, s.Facts, s.Files, s.Unknowns = "", nil, nil, nil
	return s
}

// Changed reports whether anything is different.
func (s State) Changed() bool { return s.Count > 0 || len(s.Facts) > 0 }

// Over reports whether nothing more happens to a change by itself.
func (s State) Finished() bool {
	switch s.Stage {
	case Refused, Unchanged, Confirmed, Reverted, Interrupted:
		return true
	}
	return false
}
