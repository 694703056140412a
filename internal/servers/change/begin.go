package change

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// kept is how many changes a server keeps, the newest: what older ones saved is
// gone.
const kept = 10

// Begin writes a job down and starts a process of its own that carries it out:
// this program with arguments and the job's id. A job that was begun already is
// not begun again.
func (s Store) Begin(j Job, program string, args ...string) error {
	if err := j.check(); err != nil {
		return fmt.Errorf("begin change: %w", err)
	}
	if err := s.begin(j, program, args); err != nil {
		return fmt.Errorf("begin change %s: %w", j.ID, err)
	}
	return nil
}

func (s Store) begin(j Job, program string, args []string) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(s.path(j.ID, "job")); err == nil {
		return nil
	}
	s.forget()
	if err := os.MkdirAll(filepath.Join(s.dir, j.ID), 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	// The process inherits the lock, so that at no time the change seems to have
	// been interrupted.
	held, err := durable.TryLock(s.path(j.ID, "lock"))
	if err != nil {
		return err
	}
	defer held.Close()
	if err := s.write(State{ID: j.ID, Stage: Saving, Began: time.Now()}); err != nil {
		return err
	}
	if err := durable.WriteFile(s.path(j.ID, "job"), text, 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(s.path(j.ID, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, append(args, j.ID)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = "/", log, log, []*os.File{held}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// inheritedLock is the descriptor of the lock that Begin hands on.
const inheritedLock = 3

// KeepLock keeps the lock to the process that carries a change out: what that
// starts, and what goes on after it such as a daemon, must not hold it.
func KeepLock() { syscall.CloseOnExec(inheritedLock) }

// forget removes the oldest changes that are over.
func (s Store) forget() {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var over []State
	for _, d := range dirs {
		if st, err := s.State(d.Name()); err == nil && st.Over() {
			over = append(over, st)
		}
	}
	slices.SortFunc(over, func(a, b State) int { return b.Began.Compare(a.Began) })
	for i, st := range over {
		if i >= kept-1 {
			_ = os.RemoveAll(filepath.Join(s.dir, st.ID)) // tried again with the next
		}
	}
}

// List returns the changes that a server knows, the newest first.
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
