package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// maxChanges bounds the changes that are kept, because each has a copy of /etc and
// more. The oldest are removed, and cannot be reverted any more.
const maxChanges = 10

// ErrNotFound is returned for a change that the server does not have.
var ErrNotFound = errors.New("no such change on the server")

// A Store is a directory of changes.
type Store struct{ dir string }

// NewStore returns the store in a directory, which is created with the first change.
func NewStore(dir string) Store { return Store{dir} }

func (s Store) path(id, name string) string { return filepath.Join(s.dir, id, name) }

// State reads the state of a change. A change that is not finished and whose process
// is gone is Interrupted: its process holds a lock as long as it lives, and the kernel
// frees the lock however it ends.
func (s Store) State(id string) (State, error) {
	var st State
	if !isWord(id) || id[0] == '.' {
		return st, fmt.Errorf("change %.80q: %w", id, ErrNotFound)
	}
	text, err := os.ReadFile(s.path(id, "state"))
	if errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("change %s: %w", id, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	if st.Finished() {
		return st, nil
	}
	held, err := durable.IsLocked(s.path(id, "lock"))
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	if !held {
		if again, err := os.ReadFile(s.path(id, "state")); err == nil && json.Unmarshal(again, &st) == nil && st.Finished() {
			return st, nil // it finished between reading the state and the lock
		}
		st.Failed, st.Cause = true, "the server or the process of the change was killed while it was "+string(st.Stage)
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

// Confirm keeps a change. The process of the change polls for the file.
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

// finishTimeout bounds the wait for the lock of a change that has finished. Its state
// is written before its process exits, so that a caller may see one without the other.
const finishTimeout = time.Minute

// lockServer takes the lock that serializes changes. Two changes at the same time would
// find the effects of each other, and an undo of one would take back both.
func (s Store) lockServer(ctx context.Context, id string) (*os.File, error) {
	l, err := lockWhile(ctx, filepath.Join(s.dir, ".lock"), func() bool { return s.othersFinishing(id) })
	if errors.Is(err, durable.ErrLocked) {
		return nil, errors.New("another change is being carried out")
	}
	return l, err
}

// lockWhile takes a lock and waits for it while mayWait returns true.
func lockWhile(ctx context.Context, path string, mayWait func() bool) (*os.File, error) {
	for began := time.Now(); ; {
		l, err := durable.TryLock(path)
		if !errors.Is(err, durable.ErrLocked) || !mayWait() || time.Since(began) > finishTimeout {
			return l, err
		}
		if err := clock.Sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// othersFinishing reports whether all other changes are finished or being reverted.
func (s Store) othersFinishing(id string) bool {
	dirs, err := os.ReadDir(s.dir)
	for _, d := range dirs {
		if d.Name() == id || !d.IsDir() {
			continue
		}
		if st, err := s.State(d.Name()); err == nil && !st.Finished() && st.Stage != Reverting {
			return false
		}
	}
	return err == nil
}

// prune removes the oldest finished changes.
func (s Store) prune() {
	list, err := s.List()
	if err != nil {
		return
	}
	over := slices.DeleteFunc(list, func(st State) bool { return !st.Finished() })
	for _, st := range over[min(len(over), maxChanges-1):] {
		_ = os.RemoveAll(filepath.Join(s.dir, st.ID)) // the next change tries again
	}
}

// List returns the changes of the server, the newest first.
func (s Store) List() ([]State, error) {
	dirs, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var list []State
	for _, d := range dirs {
		if st, err := s.State(d.Name()); err == nil {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b State) int { return b.Began.Compare(a.Began) })
	return list, err
}
