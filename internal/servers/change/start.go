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

// Start stores a job and starts a process that carries it out: a program with
// arguments and the job's id. It does nothing for a job that was started before, so
// that a caller whose connection was lost can start it again.
func (s Store) Start(j Job, program string, args ...string) error {
	if err := j.validate(); err != nil {
		return fmt.Errorf("start change: %w", err)
	}
	if err := s.start(j, program, args); err != nil {
		return fmt.Errorf("start change %s: %w", j.ID, err)
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
	// The process inherits the lock. If it took the lock itself, the change would be
	// Interrupted for everyone who asks before it does.
	held, err := durable.TryLock(s.path(j.ID, "lock"))
	if err != nil {
		return err
	}
	defer held.Close()
	if err := s.write(State{ID: j.ID, Stage: Saving, Began: time.Now()}); err != nil {
		return err
	}
	// The job comes after the state, because its file marks a change as started.
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
	// In a session of its own it survives the hangup when the connection is lost.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// inheritedLock is the descriptor of the lock that Start passes on.
const inheritedLock = 3

// CloseLockOnExec keeps programs that the process of a change starts from inheriting
// its lock. A daemon among them would hold it for ever, and a change whose process was
// killed would never be Interrupted.
func CloseLockOnExec() { syscall.CloseOnExec(inheritedLock) }
