package waves

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers/change"
)

// A History holds the records of all runs from one machine. Each record holds the digest
// of the one before it (a hash chain), so that a record that is edited or removed is
// noticed by everyone who knows the digest of a later one.
//
// Its directory has a file for each record, 000001.json and so on; open-ID.json and its
// lock for a run that is going on or was killed; and jobs/ID.json for resuming a run.
type History struct{ dir string }

// OpenHistory opens a history and creates it if there is none. It ends the records of
// runs that were killed.
func OpenHistory(dir string) (*History, error) {
	h := &History{dir}
	if err := os.MkdirAll(filepath.Join(dir, "jobs"), 0o700); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	if err := h.recover(); err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return h, nil
}

// ReadHistory returns the records of a history, none if it does not exist, and writes
// nothing. Runs that are going on or were killed come last and have no number.
func ReadHistory(dir string) ([]Record, error) {
	h := &History{dir}
	list, _, err := h.Records()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	open, globErr := filepath.Glob(h.openPath("*"))
	if err := errors.Join(err, globErr); err != nil {
		return nil, err
	}
	for _, path := range open {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the run ended after Glob
		}
		var r Record
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("read history: %s: %w", path, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// An Entry is the record of a run that is going on.
type Entry struct {
	Record  *Record
	history *History
	file    *os.File // the held lock; the kernel frees it if the process is killed
}

func (h *History) openPath(id string) string { return filepath.Join(h.dir, "open-"+id+".json") }

// Begin starts a record and stores its job.
func (h *History) Begin(r *Record, job change.Job) (*Entry, error) {
	// The job comes first: a record without a job could not be resumed.
	text, err := json.Marshal(job)
	if err == nil {
		err = durable.WriteFile(filepath.Join(h.dir, "jobs", r.ID+".json"), text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("begin record: %w", err)
	}
	f, err := durable.TryLock(h.openPath(r.ID) + ".lock")
	if err != nil {
		return nil, fmt.Errorf("begin record: %w", err)
	}
	run := &Entry{r, h, f}
	return run, run.Save()
}

// Save stores the progress of a run.
func (r *Entry) Save() error {
	text, err := json.MarshalIndent(r.Record, "", "  ")
	if err == nil {
		err = durable.WriteFile(r.history.openPath(r.Record.ID), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("save record: %w", err)
	}
	return nil
}

// End completes a record and appends it to the chain.
func (r *Entry) End() error {
	defer durable.Unlock(r.file)
	r.Record.Ended = time.Now()
	for i := range r.Record.Results {
		if r.Record.Results[i].Outcome == "" {
			r.Record.Results[i].Outcome = NotBegun
		}
	}
	if err := r.history.append(r.Record); err != nil {
		return fmt.Errorf("end record: %w", err)
	}
	return nil
}

// append numbers a record and chains it to the last one, under a lock: two records with
// the same predecessor would look like tampering.
func (h *History) append(r *Record) error {
	l, err := durable.Lock(filepath.Join(h.dir, ".lock"))
	if err != nil {
		return err
	}
	defer durable.Unlock(l)
	names, err := h.recordFiles()
	if err != nil {
		return err
	}
	// The number is given at the end of a run, because runs can overlap.
	r.Number, r.Previous = 1, ""
	if n := len(names); n > 0 {
		last, err := os.ReadFile(filepath.Join(h.dir, names[n-1]))
		if err != nil {
			return err
		}
		var before Record
		if err := json.Unmarshal(last, &before); err != nil {
			return fmt.Errorf("%s: %w", names[n-1], err)
		}
		if before.ID == r.ID {
			return h.removeOpen(r.ID) // its process was killed between the two writes
		}
		r.Number, r.Previous = before.Number+1, digestOf(last)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(h.dir, fmt.Sprintf("%06d.json", r.Number)), text, 0o600); err != nil {
		return err
	}
	return h.removeOpen(r.ID)
}

func (h *History) removeOpen(id string) error {
	return errors.Join(os.Remove(h.openPath(id)), os.Remove(h.openPath(id)+".lock"))
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// recordFiles returns the files of the records in order.
func (h *History) recordFiles() ([]string, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		stem, isRecord := strings.CutSuffix(e.Name(), ".json")
		if isRecord && len(stem) >= 6 && strings.Trim(stem, "0123456789") == "" {
			names = append(names, e.Name())
		}
	}
	// Numbers above 999999 have more digits, and would sort before 000001 as text.
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// recover ends the records of runs whose process ended without doing so. The lock
// of such a record is free.
func (h *History) recover() error {
	open, err := filepath.Glob(filepath.Join(h.dir, "open-*.json"))
	if err != nil {
		return err
	}
	for _, path := range open {
		if err := h.recoverRun(path); err != nil {
			return err
		}
	}
	return nil
}

func (h *History) recoverRun(path string) error {
	f, err := durable.TryLock(path + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return nil // the run is going on
	}
	if err != nil {
		return err
	}
	defer durable.Unlock(f)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil // the run ended after Glob
	}
	var r Record
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Stopped, r.Statement = "the run was killed", "the run was killed: how the servers compare is not known"
	for i := range r.Results {
		res := &r.Results[i]
		switch {
		case res.Outcome != "":
		case res.Reboot != nil:
			res.Outcome, res.Failed, res.Cause = Unreachable, true, "the run was killed during the reboot; whether the server has started again is not known"
		case res.Change.ID != "": // recordStart stored it, so the change may have begun
			res.Outcome, res.Failed, res.Cause = Unreachable, true, "the run was killed; what it did there is not known"
		default:
			res.Outcome, res.Failed, res.Cause = NotBegun, true, "the run was killed before"
		}
	}
	r.Ended = time.Now()
	return h.append(&r)
}

// A ChainError is a record that was edited, or before which one was removed.
type ChainError struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

// Records returns all records in order, and the records at which the chain is
// broken.
func (h *History) Records() ([]Record, []ChainError, error) {
	names, err := h.recordFiles()
	if err != nil {
		return nil, nil, fmt.Errorf("read history: %w", err)
	}
	var list []Record
	var broken []ChainError
	previous, number := "", 0
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			return nil, nil, fmt.Errorf("read history: %w", err)
		}
		var r Record
		switch err := json.Unmarshal(text, &r); {
		case err != nil:
			broken = append(broken, ChainError{name, err.Error()})
		case r.Number != number+1:
			broken = append(broken, ChainError{name, fmt.Sprintf("the record has number %d after %d: records are missing", r.Number, number)})
		case r.Previous != previous:
			broken = append(broken, ChainError{name, "the record before it is not the one that was there when it was written"})
		}
		previous, number = digestOf(text), r.Number
		list = append(list, r)
	}
	return list, broken, nil
}

// Find returns the record with an id or a number and its job. An empty name finds the
// last run that is not an undo.
func (h *History) Find(name string) (Record, change.Job, error) {
	list, _, err := h.Records()
	if err != nil {
		return Record{}, change.Job{}, err
	}
	for _, r := range slices.Backward(list) {
		if name == r.ID || name == fmt.Sprint(r.Number) || name == "" && r.Action != Revert {
			job, err := h.job(r.ID)
			return r, job, err
		}
	}
	if name == "" {
		return Record{}, change.Job{}, errors.New("no update was made from here")
	}
	return Record{}, change.Job{}, fmt.Errorf("there is no run %.80q", name)
}

func (h *History) job(id string) (change.Job, error) {
	var j change.Job
	text, err := os.ReadFile(filepath.Join(h.dir, "jobs", id+".json"))
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		return j, fmt.Errorf("read the job of run %s: %w", id, err)
	}
	return j, nil
}
