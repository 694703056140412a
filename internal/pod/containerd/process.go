package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// A process is a running containerd of one layout. It is found by its command
// line, which names a configuration in the layout's own directory: that needs
// no file which could be lost or be wrong after a crash.
type process struct {
	pid    int
	config string // path of the configuration it was started with
	handle int    // pidfd
}

// findProcess returns the layout's running daemon, or nil.
func findProcess(l layout) (*process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		config := configOf(pid, l)
		if config == "" {
			continue
		}
		handle, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open process %d: %w", pid, err)
		}
		if configOf(pid, l) != config { // ended before it was opened
			unix.Close(handle)
			continue
		}
		return &process{pid: pid, config: config, handle: handle}, nil
	}
	return nil, nil
}

// configOf returns the configuration that a process runs with if it is the
// layout's daemon: "…/containerd --config <configDir>/<hash>.toml".
func configOf(pid int, l layout) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(raw) == 0 {
		return "" // a zombie's is empty
	}
	args := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
	if len(args) == 3 && filepath.Base(args[0]) == "containerd" && args[1] == "--config" && filepath.Dir(args[2]) == l.configDir() {
		return args[2]
	}
	return ""
}

func (p *process) close() { unix.Close(p.handle) }

// ended tells whether the process is gone or a zombie.
func (p *process) ended() bool {
	fds := []unix.PollFd{{Fd: int32(p.handle), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// stop ends the process: SIGTERM, and SIGKILL if that has no effect for grace
// or until ctx ends. The pods' shims live on.
func (p *process) stop(ctx context.Context, grace time.Duration) error {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(p.handle, sig, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("end containerd (process %d): %w", p.pid, err)
		}
		if p.wait(ctx, grace) {
			return nil
		}
	}
	return fmt.Errorf("end containerd (process %d): it does not go", p.pid)
}

// wait waits for the end of the process, at most for d.
func (p *process) wait(ctx context.Context, d time.Duration) bool {
	deadline := time.Now().Add(d)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		fds := []unix.PollFd{{Fd: int32(p.handle), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 50); err == nil && n > 0 {
			return true
		}
	}
	return p.ended()
}

// spawn starts containerd apart from this process: a session of its own, its
// output in the log, no descriptor but that. The returned function tells
// whether it has ended, and how.
func spawn(s settings, config string) (exited func() (error, bool), err error) {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.binaries.Containerd, "--config", config)
	cmd.Dir = "/"
	cmd.Env = environment(s)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.binaries.Containerd, err)
	}
	done := make(chan error, 1)
	// Ends with containerd or with this process: only the parent can reap it.
	go func() { done <- cmd.Wait() }()
	return func() (error, bool) {
		select {
		case err := <-done:
			if err == nil {
				err = errors.New("exit status 0")
			}
			return err, true
		default:
			return nil, false
		}
	}, nil
}

// environment is this process's, with PATH naming the found programs first
// and without what belongs to the service that started this process, or to a
// caller whose temporary files are gone before the daemon ends.
func environment(s settings) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "PATH", "TMPDIR", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "JOURNAL_STREAM":
			continue
		}
		env = append(env, kv)
	}
	return append(env, "PATH="+s.binaries.path())
}

// Sizes of the log, in bytes: past maxLog it is cut, and the last keepLog
// bytes stay beside it under the name with ".1".
const (
	maxLog  = 8 << 20
	keepLog = 1 << 20
)

// trimLog keeps the log small. The daemon appends, so that cutting the file
// under it is safe; lines written meanwhile may be lost.
func trimLog(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= maxLog {
		return err
	}
	tail := make([]byte, keepLog)
	n, err := f.ReadAt(tail, info.Size()-keepLog)
	if err != nil && err != io.EOF {
		return err
	}
	if err := durable.WriteFile(path+".1", tail[:n], 0o600); err != nil {
		return err
	}
	return f.Truncate(0)
}

// logTail returns the last lines of the log, for an error message.
func logTail(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	const most = 8 << 10
	start := max(0, info.Size()-most)
	raw, err := io.ReadAll(io.NewSectionReader(f, start, most))
	if err != nil {
		return ""
	}
	all := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return string(bytes.Join(all, []byte("\n")))
}
