package change

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// Begin writes a job down and starts a process of its own that carries it out:
// this program with arguments and the job's id. A job that was begun already is
// not begun again.
func (s Store) Start(j Job, program string, args ...string) error {
	if err := j.validate(); err != nil {
		return fmt.Errorf("begin change: %w", err)
	}
	if err := s.start(j, program, args); err != nil {
		return fmt.Errorf("begin change %s: %w", j.ID, err)
	}
	return nil
}

func (s Store) start(j Job, program string, args []string) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(s.path(j.ID, "job")); err == nil {
		return nil
	}
	s.prune()
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
func CloseLockOnExec() { syscall.CloseOnExec(inheritedLock) }
