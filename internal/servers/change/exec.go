package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// maxOutput bounds the output of a change that is kept, in bytes. Causes of failures
// stand at its end.
const maxOutput = 8 << 10

// environment is the environment of all programs of a change. It is fixed, so that a
// change does not depend on who starts it and how. Packages must not ask questions or
// restart services, and the output must be in English for explain.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh",
	"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "APT_LISTCHANGES_FRONTEND=none",
}

// runProgram runs a program in a process group of its own, which is killed when the
// context ends.
func runProgram(ctx context.Context, out io.Writer, name string, args ...string) error {
	return runMarked(ctx, out, "", name, args...)
}

// runMarked is runProgram for a program of a change, whose id is in the environment.
func runMarked(ctx context.Context, out io.Writer, id, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environment, out, out
	if id != "" {
		cmd.Env = append(slices.Clone(environment), changeVariable+id)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A daemon that it started may keep the output open for ever.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // the program succeeded, and the rest of the output is the daemon's
	}
	return err
}

// programError turns the error of a program that ran into its exit status or signal.
// name is the name of the program for the user.
func programError(name string, err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return describe("run "+name, err)
	case exit.ExitCode() < 0:
		return failure(fmt.Sprintf("%s was ended by signal %v", name, exit.Sys().(syscall.WaitStatus).Signal()))
	}
	return failure(fmt.Sprintf("%s exits with %d", name, exit.ExitCode()))
}

// A failure is the error of a program that ran.
type failure string

func (f failure) Error() string { return string(f) }

// withCause adds the cause of an error, if the output has one. A program that could
// not be started has none: the output is that of the steps before.
func withCause(err error, output string) error {
	var ran failure
	if !errors.As(err, &ran) {
		return err
	}
	if cause := explain(output); cause != "" {
		return fmt.Errorf("%s (%w)", cause, err)
	}
	return err
}

// A tailBuffer keeps the last max bytes that are written to it.
type tailBuffer struct {
	max  int
	text []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-t.max):]...)
	if over := len(t.text) - t.max; over > 0 {
		t.text = t.text[:copy(t.text, t.text[over:])]
	}
	return len(p), nil
}

func (t *tailBuffer) String() string { return string(bytes.ToValidUTF8(t.text, []byte("?"))) }
