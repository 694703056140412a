package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
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
	ID       string             `json:"id"`
	Stage    Stage              `json:"stage"`
	Began    time.Time          `json:"began"`
	Ended    time.Time          `json:"ended,omitzero"` // of the change itself
	Failed   bool               `json:"failed"`
	Cause    string             `json:"cause,omitempty"`  // of the failure, in a sentence
	Output   string             `json:"output,omitempty"` // the end of it
	Facts    []facts.FactChange `json:"facts,omitempty"`
	Files    []facts.FileChange `json:"files,omitempty"` // the first of them, see Count
	Count    int                `json:"count"`           // of files
	Unknowns []facts.Unknown    `json:"unknowns,omitempty"`
	Undo     *Undo              `json:"undo,omitempty"` // how it was taken back
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
func (s State) Over() bool {
	switch s.Stage {
	case Refused, Unchanged, Confirmed, Reverted, Interrupted:
		return true
	}
	return false
}

// ErrNone says that a server knows nothing of a change.
var ErrNone = errors.New("the server knows of no such change")

// A Store is where changes are kept.
type Store struct{ dir string }

// NewStore keeps changes in a directory, which is made when the first begins.
func NewStore(dir string) Store { return Store{dir} }

func (s Store) path(id, name string) string { return filepath.Join(s.dir, id, name) }

// State reads the state of a change.
func (s Store) State(id string) (State, error) {
	var st State
	if !isWord(id) || id[0] == '.' {
		return st, fmt.Errorf("change %.80q: %w", id, ErrNone)
	}
	text, err := os.ReadFile(s.path(id, "state"))
	if errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("change %s: %w", id, ErrNone)
	}
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	if st.Over() {
		return st, nil
	}
	held, err := durable.IsLocked(s.path(id, "lock"))
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	if !held {
		if again, err := os.ReadFile(s.path(id, "state")); err == nil && json.Unmarshal(again, &st) == nil && st.Over() {
			return st, nil // it ended meanwhile
		}
		st.Failed, st.Cause = true, "the server, or who carried it out, was killed while it was "+string(st.Stage)
		st.Stage = Interrupted
	}
	return st, nil
}

func (s Store) write(st State) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.path(st.ID, "state"), text, 0o600)
}

func (s Store) job(id string) (Job, error) {
	var j Job
	text, err := os.ReadFile(s.path(id, "job"))
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		return j, fmt.Errorf("read job %s: %w", id, err)
	}
	return j, nil
}

// Confirm lets a change stay. The one who carries it out looks for that.
func (s Store) Confirm(id string) error {
	if _, err := s.State(id); err != nil {
		return err
	}
	return durable.WriteFile(s.path(id, "confirmed"), nil, 0o600)
}

func (s Store) isConfirmed(id string) bool {
	_, err := os.Stat(s.path(id, "confirmed"))
	return err == nil
}

// ending is how long a change waits for one that does nothing more than end: its
// state says so before its process has gone.
const ending = time.Minute

// alone takes the lock that lets one change be carried out at a time.
func (s Store) alone(ctx context.Context, id string) (*os.File, error) {
	l, err := lockWhile(ctx, filepath.Join(s.dir, ".lock"), func() bool { return s.othersEnd(id) })
	if errors.Is(err, durable.ErrLocked) {
		return nil, errors.New("another change is being carried out")
	}
	return l, err
}

// lockWhile takes a lock, for which it waits as long as mayWait says so.
func lockWhile(ctx context.Context, path string, mayWait func() bool) (*os.File, error) {
	for began := time.Now(); ; {
		l, err := durable.TryLock(path)
		if !errors.Is(err, durable.ErrLocked) || !mayWait() || time.Since(began) > ending {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// othersEnd reports whether all changes but one are over or are being taken
// back.
func (s Store) othersEnd(id string) bool {
	dirs, err := os.ReadDir(s.dir)
	for _, d := range dirs {
		if d.Name() == id || !d.IsDir() {
			continue
		}
		if st, err := s.State(d.Name()); err == nil && !st.Over() && st.Stage != Reverting {
			return false
		}
	}
	return err == nil
}
