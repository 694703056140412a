package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// maxChanges bounds the changes that are kept, because each has a copy of /etc and
// more. The oldest are removed, and cannot be reverted any more.
const maxChanges = 10

// ErrNotFound is returned for a change that the server does not have.
var ErrNotFound = errors.New("no such change on the server")

// A Store is a directory of changes. Files that cannot be written there, because the disk
// is full or read-only, are in memory: a change on a full disk must be reverted, too.
type Store struct{ dir, memory string }

// MemoryDir contains the files of changes that could not be written to the disk, and is
// lost with a restart of the server.
const MemoryDir = "/run/" + reach.OwnUnit

// NewStore returns the store in a directory, which is created with the first change.
func NewStore(dir string) Store { return Store{dir, filepath.Join(MemoryDir, dir)} }

func (s Store) path(id, name string) string { return filepath.Join(s.dir, id, name) }

func (s Store) memoryPath(id, name string) string { return filepath.Join(s.memory, id, name) }

// writeFile writes a file of a change to the disk, or to memory if that fails.
func (s Store) writeFile(id, name string, write func(io.Writer) error) error {
	path := s.path(id, name)
	err := durable.Write(path, 0o600, write)
	if errors.Is(err, unix.ENOSPC) {
		s.releaseReserve(id)
		err = durable.Write(path, 0o600, write)
	}
	if err == nil {
		_ = os.Remove(s.memoryPath(id, name)) // an older version, if any
		return nil
	}
	memory := s.memoryPath(id, name)
	if memoryErr := os.MkdirAll(filepath.Dir(memory), 0o700); memoryErr != nil {
		return errors.Join(err, memoryErr)
	}
	if memoryErr := durable.Write(memory, 0o600, write); memoryErr != nil {
		return errors.Join(err, memoryErr)
	}
	return nil
}

func (s Store) writeBytes(id, name string, content []byte) error {
	return s.writeFile(id, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// find returns the path of a file of a change. One in memory is newer than that on the
// disk.
func (s Store) find(id, name string) string {
	if memory := s.memoryPath(id, name); exists(memory) {
		return memory
	}
	return s.path(id, name)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// State reads the state of a change. A change that is not finished and whose process
// is gone is Interrupted: its process holds a lock as long as it lives, and the kernel
// frees the lock however it ends.
func (s Store) State(id string) (State, error) {
	st, err := s.readState(id)
	if err != nil || st.Finished() {
		return st, err
	}
	alive, err := s.isAlive(id)
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	if !alive {
		if again, err := s.readState(id); err == nil && again.Finished() {
			return again, nil // it finished between reading the state and the lock
		}
		st.Failed, st.Cause = true, "the server or the process of the change was killed while it was "+string(st.Stage)
		st.Stage = Interrupted
	}
	return st, nil
}

// readState returns the state that was stored last.
func (s Store) readState(id string) (State, error) {
	var st State
	if !isWord(id) || id[0] == '.' {
		return st, fmt.Errorf("change %.80q: %w", id, ErrNotFound)
	}
	text, err := os.ReadFile(s.find(id, "state"))
	if errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("change %s: %w", id, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		return st, fmt.Errorf("read change %s: %w", id, err)
	}
	return st, nil
}

// Guard waits for the end of a change's process, and carries the change on if that was
// killed.
func (s Store) Guard(ctx context.Context, id, cache string) error {
	guard, err := durable.TryLock(s.path(id, "guard"))
	if err != nil {
		return err
	}
	defer durable.Unlock(guard)
	for {
		st, err := s.readState(id)
		if err != nil || st.Finished() {
			return err
		}
		// The process needs a moment until it has its lock.
		if held, err := durable.IsLocked(s.path(id, "lock")); err == nil && !held {
			if held, err = durable.IsLocked(s.path(id, "starting")); err == nil && !held {
				return s.Run(ctx, id, cache)
			}
		}
		if err := clock.Sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// Recover starts the processes of all changes that had not finished when the server was
// restarted.
func (s Store) Recover(program string, args ...string) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	var errs []error
	pending := false
	for _, st := range list {
		stored, err := s.readState(st.ID)
		if err != nil || stored.Finished() {
			continue
		}
		pending = true
		errs = append(errs, s.launch(st.ID, program, args))
	}
	if !pending {
		removeBootFiles()
	}
	return errors.Join(errs...)
}

func (s Store) write(st State) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return s.writeBytes(st.ID, "state", text)
}

// isAlive reports whether a process carries out a change, starts that process, or will
// start it again.
func (s Store) isAlive(id string) (bool, error) {
	for _, name := range []string{"lock", "starting", "guard"} {
		if !exists(s.path(id, name)) {
			continue
		}
		if held, err := durable.IsLocked(s.path(id, name)); held || err != nil {
			return held, err
		}
	}
	return isUnitAlive(id), nil
}

func (s Store) job(id string) (Job, error) {
	var j Job
	text, err := os.ReadFile(s.find(id, "job"))
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
	return s.writeBytes(id, "confirmed", nil)
}

func (s Store) isConfirmed(id string) bool { return exists(s.find(id, "confirmed")) }

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
		_ = os.RemoveAll(filepath.Join(s.memory, st.ID))
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
