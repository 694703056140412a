package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// maxOutput is how much of the end of a change's output is kept, in bytes.
const maxOutput = 8 << 10

// environ is what changes find in theirs, wherever they are begun from.
var environ = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh",
	"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "APT_LISTCHANGES_FRONTEND=none",
}

// run runs the command and the script.
func (c *Carrier) run(ctx context.Context, out *tail) error {
	if c.job.Run != "" {
		if err := execute(ctx, out, "sh", "-c", c.job.Run); err != nil {
			return because(out.String(), err, "the command")
		}
	}
	if len(c.job.Script) == 0 {
		return nil
	}
	path := c.store.path(c.job.ID, "script")
	if err := os.WriteFile(path, c.job.Script, 0o700); err != nil {
		return sentence("write the script", err)
	}
	name, args := path, []string(nil)
	if !bytes.HasPrefix(c.job.Script, []byte("#!")) {
		name, args = "sh", []string{path}
	}
	if err := execute(ctx, out, name, args...); err != nil {
		return because(out.String(), err, "the script")
	}
	return nil
}

// execute runs a program with all that it starts in a process group of its own,
// which is killed when time is up.
func execute(ctx context.Context, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", environ, out, out
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
func because(output string, err error, what string) error {
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return sentence("run "+what, err)
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
type tail struct {
	most int
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p[max(0, len(p)-t.most):]...)
	if over := len(t.text) - t.most; over > 0 {
		t.text = t.text[:copy(t.text, t.text[over:])]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(bytes.ToValidUTF8(t.text, []byte("?"))) }

func newReader(content []byte) io.Reader { return bytes.NewReader(content) }
