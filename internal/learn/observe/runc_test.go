package observe

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A container has a bundle of its own and is run by the real runc through the
// wrapper.
type container struct {
	t                   *testing.T
	wrapper, root       string // of the runtime
	bundle, rootfs, dir string
	id                  string
	flags               []string                // of create, besides the usual
	ended               map[int]unix.WaitStatus // of reaped children
}

// newContainer creates the bundle of a container that runs the writer with
// args. change may modify its configuration.
func newContainer(t *testing.T, writer string, args []string, change ...func(spec map[string]any)) *container {
	t.Helper()
	c := &container{t: t, bundle: t.TempDir(), root: t.TempDir(), dir: t.TempDir(), rootfs: newRoot(t, writer), ended: map[int]unix.WaitStatus{}}
	c.id = "adamant-test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	must(t, os.Chmod(c.dir, 0o755))
	c.wrapper = filepath.Join(t.TempDir(), RuntimeName)
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, c.wrapper))

	spec := exec.Command("runc", "spec")
	spec.Dir = c.bundle
	if out, err := spec.CombinedOutput(); err != nil {
		t.Fatalf("runc spec: %v\n%s", err, out)
	}
	var s map[string]any
	must(t, readJSON(filepath.Join(c.bundle, "config.json"), &s))
	process := s["process"].(map[string]any)
	process["terminal"] = false
	process["args"] = append([]string{"/bin/writer"}, args...)
	process["cwd"] = "/desk"
	process["noNewPrivileges"] = false
	s["root"] = map[string]any{"path": c.rootfs, "readonly": false}
	s["annotations"] = map[string]any{traceAnnotation: c.dir, typeAnnotation: "container", nameAnnotation: "main"}
	for _, f := range change {
		f(s)
	}
	data, err := json.Marshal(s)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(c.bundle, "config.json"), data, 0o600))
	t.Cleanup(func() { exec.Command("runc", "--root", c.root, "delete", "--force", c.id).Run() })
	return c
}

// runc returns a command of the wrapper, as a shim runs it.
func (c *container) runc(args ...string) *exec.Cmd {
	cmd := exec.Command(c.wrapper, append([]string{"--root", c.root, "--log", filepath.Join(c.bundle, "log"), "--log-format", "json"}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func (c *container) must(args ...string) {
	c.t.Helper()
	if err := c.runc(args...).Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(c.bundle, "log"))
		c.t.Fatalf("%s: %v\n%s", args[0], err, log)
	}
}

// create creates the container with stdout and optionally more files, and
// returns its first process, which becomes a child of the test: tests are
// subreapers, as shims are.
func (c *container) create(stdout *os.File, more ...*os.File) int {
	c.t.Helper()
	must(c.t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	pidFile := filepath.Join(c.bundle, "pid")
	args := append([]string{"create", "--bundle", c.bundle, "--pid-file", pidFile, "--preserve-fds", strconv.Itoa(len(more))}, c.flags...)
	cmd := c.runc(append(args, c.id)...)
	cmd.Stdout, cmd.ExtraFiles = stdout, more
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(filepath.Join(c.bundle, "log"))
		c.t.Fatalf("create: %v\n%s", err, log)
	}
	data, err := os.ReadFile(pidFile)
	must(c.t, err)
	pid, err := strconv.Atoi(string(data))
	must(c.t, err)
	return pid
}

// run creates and starts the container, waits for its end and returns its
// output and its wait status.
func (c *container) run() (string, unix.WaitStatus) {
	c.t.Helper()
	r, w, err := os.Pipe()
	must(c.t, err)
	defer r.Close()
	pid := c.create(w)
	w.Close()
	c.must("start", c.id)
	out := readAll(c.t, r)
	return out, c.wait(pid)
}

// readAll reads to the end of a pipe. It blocks if another process than the
// container holds the write end.
func readAll(t *testing.T, r *os.File) string {
	t.Helper()
	var b strings.Builder
	must(t, r.SetReadDeadline(time.Now().Add(time.Minute)))
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			if os.IsTimeout(err) {
				t.Fatalf("standard output is still held; so far: %s", b.String())
			}
			return b.String()
		}
	}
}

// wait reaps children, as a shim does, until it gets pid.
func (c *container) wait(pid int) unix.WaitStatus {
	c.t.Helper()
	for {
		if s, ok := c.ended[pid]; ok {
			return s
		}
		var s unix.WaitStatus
		got, err := unix.Wait4(-1, &s, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			c.t.Fatalf("wait for process %d: %v", pid, err)
		}
		c.ended[got] = s
	}
}

// awaitProgram waits until the first process of the container executes its program
// and its tracer has let it go on.
func (c *container) awaitProgram(pid int) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		must(c.t, err)
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		must(c.t, err)
		if strings.HasPrefix(string(args), "/bin/writer\x00") && strings.HasPrefix(field(string(status), "State"), "S") {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("process %d does not execute its program: %q, %s", pid, args, field(string(status), "State"))
		}
	}
}

// traces waits until no tracer is running and returns their traces.
func (c *container) traces() []trace.Trace {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		traces, err := Load(c.dir)
		must(c.t, err)
		open := len(traces) == 0
		for _, tr := range traces {
			open = open || !tr.Complete
		}
		if !open {
			return traces
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("traces are not complete: %+v", traces)
		}
	}
}

// field returns a line of /proc/PID/status.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
