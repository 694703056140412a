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

// A process is the running containerd of a layout. It is found by its command
// line, which contains the path of a configuration in the layout's directory. No
// PID file is needed, which could be missing or stale after a crash.
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

// configOf returns the path of the configuration of a process if it is the
// layout's daemon: "…/containerd --config <configDir>/<hash>.toml".
func configOf(pid int, l layout) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(raw) == 0 {
		return "" // the command line of a zombie is empty
	}
	args := strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00")
	if len(args) == 3 && filepath.Base(args[0]) == "containerd" && args[1] == "--config" && filepath.Dir(args[2]) == l.configDir() {
		return args[2]
	}
	return ""
}

func (p *process) close() { unix.Close(p.handle) }

// ended reports whether the process is gone or a zombie.
func (p *process) ended() bool {
	// A pidfd is readable as soon as its process has terminated.
	fds := []unix.PollFd{{Fd: int32(p.handle), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// stop terminates the process with SIGTERM, and with SIGKILL if it has not ended
// after grace or when ctx ends. The pods' shims keep running.
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
	return fmt.Errorf("end containerd (process %d): it still runs after SIGKILL", p.pid)
}

// wait waits at most d for the end of the process and reports whether it ended.
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

// spawn starts containerd detached from this process: in its own session, with
// its output in the log, and without other descriptors. The returned function
// reports whether it has ended, and with which error.
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
	// The goroutine ends with containerd or with this process. It is needed
	// because only the parent can reap the process.
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

// environment returns this process's environment with the daemon's PATH. It
// omits the variables of the systemd service that started this process, and
// TMPDIR, because the caller may remove that directory before the daemon ends.
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

// Sizes of the log, in bytes: a log larger than maxLog is truncated, and its
// last keepLog bytes are kept in a file with the suffix ".1".
const (
	maxLog  = 8 << 20
	keepLog = 1 << 20
)

// trimLog bounds the size of the log. The daemon writes with O_APPEND, so that
// truncating the file is safe; lines that it writes at the same time may be lost.
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
