package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// maxOutput is how much of the end of a change's output is kept, in bytes.
const maxOutput = 8 << 10

// environ is what changes find in theirs, wherever they are begun from.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh",
	"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "APT_LISTCHANGES_FRONTEND=none",
}

// execute runs a program with all that it starts in a process group of its own,
// which is killed when time is up.
func runProgram(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environment, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // what it left in the background may keep its output open
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // a daemon that it started
	}
	return err
}

// because is the cause of a failure: what the output says, or else how it ended.
func commandError(output string, err error, what string) error {
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return describe("run "+what, err)
	case exit.ExitCode() < 0:
		err = fmt.Errorf("%s was ended by signal %v", what, exit.Sys().(syscall.WaitStatus).Signal())
	default:
		err = fmt.Errorf("%s exits with %d", what, exit.ExitCode())
	}
	if why := Cause(output); why != "" {
		return fmt.Errorf("%s (%w)", why, err)
	}
	return err
}

// A tail keeps the end of what is written to it.
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

func newReader(content []byte) io.Reader { return bytes.NewReader(content) }
