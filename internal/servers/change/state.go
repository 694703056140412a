package change

import (
	"time"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// Dir is the directory of all changes on a server.
const Dir = "/var/lib/adamant/changes"

// A Stage is the progress of a change.
type Stage string

// The stages, in their order. A change ends as Unchanged, Confirmed, Reverted or
// Refused, or it is Interrupted by its server.
const (
	Saving      Stage = "saving"
	Changing    Stage = "changing"
	Checking    Stage = "checking"
	Unconfirmed Stage = "unconfirmed" // done; reverted unless it is confirmed in time
	Reverting   Stage = "reverting"
	Verifying   Stage = "verifying" // taken back; a login from outside is awaited

	Refused     Stage = "refused"     // nothing was done
	Unchanged   Stage = "unchanged"   // done, and nothing is different
	Confirmed   Stage = "confirmed"   // it stays
	Reverted    Stage = "reverted"    // it was taken back
	Interrupted Stage = "interrupted" // its process was killed, or the server lost power
)

// A State is the state of a change. It is stored and sent as JSON.
type State struct {
	ID       string               `json:"id"`
	Stage    Stage                `json:"stage"`
	Began    time.Time            `json:"began"`
	Ended    time.Time            `json:"ended,omitzero"` // of the change itself
	Failed   bool                 `json:"failed"`
	Cause    string               `json:"cause,omitempty"`  // of the failure, one sentence
	Output   string               `json:"output,omitempty"` // its last bytes
	Facts    []compare.FactChange `json:"facts,omitempty"`
	Files    []compare.FileChange `json:"files,omitempty"` // the first maxFiles, see Count
	Count    int                  `json:"count"`           // all changed files
	Unknowns []facts.Unknown      `json:"unknowns,omitempty"`
	Undo     *Undo                `json:"undo,omitempty"` // set if it was taken back
	Visit    Visit                `json:"visit"`
	Boot     string               `json:"boot,omitempty"`    // in which the change was made
	BootDir  bool                 `json:"bootDir,omitempty"` // the directory of the boot unit's link is new
}

// A Visit is the connection by which a change was requested.
type Visit struct {
	Client string `json:"client,omitempty"` // address
	Server string `json:"server,omitempty"` // address and port
}

// An Undo is the result of taking a change back.
type Undo struct {
	Why       string    `json:"why"`
	At        time.Time `json:"at"`
	Restored  int       `json:"restored"`            // number of files
	Packages  []string  `json:"packages,omitempty"`  // "NAME=VERSION" was installed, "NAME-" removed
	Left      []string  `json:"left,omitempty"`      // the first paths and facts that are not restored
	LeftCount int       `json:"leftCount,omitempty"` // number of all that are not
	Cause     string    `json:"cause,omitempty"`     // why not everything is restored
	Ended     int       `json:"ended,omitempty"`     // processes that the change left running and that were ended
	Login     string    `json:"login,omitempty"`     // of the login after it: see the constants, empty if it was not awaited
	Rebooted  bool      `json:"rebooted,omitempty"`  // the server was restarted because nobody could log in
}

// The results of waiting for a login after a change was taken back.
const (
	LoginSeen    = "seen"     // a new connection came
	LoginAnswers = "answers"  // none came, but sshd answers on the server itself
	LoginFailed  = "no login" // sshd does not answer
)

// Brief returns the state without its lists. It is sent while a change is not
// finished: a server that waits for its confirmation must not spend that time sending
// thousands of paths over a slow link.
func (s State) Brief() State {
	s.Output, s.Facts, s.Files, s.Unknowns = "", nil, nil, nil
	return s
}

// Changed reports whether any fact or file is different.
func (s State) Changed() bool { return s.Count > 0 || len(s.Facts) > 0 }

// Finished reports whether a change stays as it is until it is reverted on demand.
func (s State) Finished() bool {
	switch s.Stage {
	case Refused, Unchanged, Confirmed, Reverted, Interrupted:
		return true
	}
	return false
}
