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
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// Start stores a job and starts a process that carries it out: a program with
// arguments, an action and the job's id. It does nothing for a job that was started
// before, so that a caller whose connection was lost can start it again.
func (s Store) Start(j Job, visit Visit, program string, args ...string) error {
	if err := j.validate(); err != nil {
		return fmt.Errorf("start change: %w", err)
	}
	if err := s.start(j, visit, program, args); err != nil {
		return fmt.Errorf("start change %s: %w", j.ID, err)
	}
	return nil
}

func (s Store) start(j Job, visit Visit, program string, args []string) error {
	if exists(s.find(j.ID, "job")) {
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
	// Until the process has taken its own lock, the change would be Interrupted for
	// everyone who asks.
	starting, err := durable.TryLock(s.path(j.ID, "starting"))
	if err != nil {
		return err
	}
	defer durable.Unlock(starting)
	if err := s.write(State{ID: j.ID, Stage: Saving, Began: time.Now(), Visit: visit, Boot: reach.BootID()}); err != nil {
		return err
	}
	// The job comes after the state, because its file marks a change as started.
	if err := s.writeBytes(j.ID, "job", text); err != nil {
		return err
	}
	return s.launch(j.ID, program, args)
}

// startTimeout bounds the wait until a process has taken its lock.
const startTimeout = 30 * time.Second

// launch starts the process of a change, and returns when it has the lock.
func (s Store) launch(id, program string, args []string) error {
	if !startUnit(id, program, args) {
		if err := s.spawn(id, program, append(args, "carry", id)); err != nil {
			return err
		}
		// Without a service manager, a second process notices the end of the first.
		if err := s.spawn(id, program, append(args, "guard", id)); err != nil {
			return err
		}
	}
	for began := time.Now(); time.Since(began) < startTimeout; time.Sleep(5 * time.Millisecond) {
		if exists(s.path(id, "lock")) {
			if held, err := durable.IsLocked(s.path(id, "lock")); held || err != nil {
				return err
			}
		}
		if st, err := s.readState(id); err == nil && st.Stage != Saving {
			return nil // it has ended, or will soon
		}
	}
	return fmt.Errorf("its process did not begin within %v", startTimeout)
}

// spawn starts a process in a session of its own, so that it survives the hangup when
// the connection is lost.
func (s Store) spawn(id, program string, args []string) error {
	log, err := os.OpenFile(s.path(id, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		if log, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return err
		}
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
