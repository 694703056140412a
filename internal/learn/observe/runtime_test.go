package observe

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func TestContainer(t *testing.T) {
	writer := buildWriter(t, "")
	t.Run("is traced from its first instruction", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-create", "unlinkat", "status"})
		out, status := c.run()
		if status.ExitStatus() != 0 {
			t.Fatalf("ended with %#x: %s", status, out)
		}
		wantAccesses(t, c.traces(), at(trace.Create, "new", sized(5)), at(trace.Unlink, "sub/in"))
		for name, want := range map[string]string{"Pid": "1", "TracerPid": "0", "NoNewPrivs": "0"} {
			if got := field(out, name); got != want {
				t.Errorf("%s of the program: got %s, want %s", name, got, want)
			}
		}
	})
	t.Run("its exit status passes", func(t *testing.T) {
		c := newContainer(t, writer, []string{"exit", "42"})
		if _, status := c.run(); !status.Exited() || status.ExitStatus() != 42 {
			t.Errorf("got %#x", status)
		}
	})
	t.Run("the signal that kills it passes", func(t *testing.T) {
		c := newContainer(t, writer, []string{"sleep"})
		pid := c.create(nil)
		c.must("start", c.id)
		c.must("kill", c.id, "KILL")
		if status := c.wait(pid); !status.Signaled() || status.Signal() != unix.SIGKILL {
			t.Errorf("got %#x", status)
		}
		c.must("delete", c.id)
		wantAccesses(t, c.traces())
	})
	t.Run("it is killed while commands begin in it", func(t *testing.T) {
		// At any moment of an exec, also between runc and the command's program.
		for after := range 50 {
			c := newContainer(t, writer, []string{"sleep"})
			pid := c.create(nil)
			c.must("start", c.id)
			c.awaitProgram(pid) // nothing is known of a container that is killed before
			cmd := c.runc("exec", "--detach", c.id, "/bin/writer", "sleep")
			cmd.Stderr = nil
			must(t, cmd.Start())
			time.Sleep(time.Duration(after) * time.Millisecond)
			c.must("kill", c.id, "KILL")
			cmd.Wait() // it may have been killed
			c.wait(pid)
			c.must("delete", "--force", c.id)
			c.traces() // fails if one does not become complete
		}
	})
	t.Run("what it does on SIGTERM is seen", func(t *testing.T) {
		c := newContainer(t, writer, []string{"term"})
		r, w, err := os.Pipe()
		must(t, err)
		defer r.Close()
		pid := c.create(w)
		w.Close()
		c.must("start", c.id)
		buf := make([]byte, 16)
		if n, err := r.Read(buf); string(buf[:n]) != "ready\n" {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
		c.must("kill", c.id, "TERM")
		if status := c.wait(pid); status.ExitStatus() != 7 {
			t.Errorf("got %#x", status)
		}
		wantAccesses(t, c.traces(), at(trace.Create, "at-end"))
	})
	t.Run("setuid programs work", func(t *testing.T) {
		c := newContainer(t, writer, []string{"fails-chown", "status"}, func(s map[string]any) {
			s["process"].(map[string]any)["user"] = map[string]any{"uid": 1000, "gid": 1000}
		})
		must(t, os.Chmod(filepath.Join(c.rootfs, "bin/writer"), 0o755|os.ModeSetuid))
		out, _ := c.run()
		wantAccesses(t, c.traces(), at(trace.Chown, "sub", errno("EPERM")))
		if got := field(out, "Uid"); got != "1000\t0\t0\t0" {
			t.Errorf("users: got %q", got)
		}
	})
	t.Run("a seccomp profile of its own still refuses", func(t *testing.T) {
		c := newContainer(t, writer, []string{"no-directory"}, func(s map[string]any) {
			s["linux"].(map[string]any)["seccomp"] = map[string]any{
				"defaultAction": "SCMP_ACT_ALLOW",
				"syscalls":      []any{map[string]any{"names": []string{"mkdirat"}, "action": "SCMP_ACT_ERRNO"}},
			}
		})
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("got %#x: %s", status, out)
		}
		wantAccesses(t, c.traces()) // the call was refused before it was made
	})
	t.Run("without the annotation it is not traced", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-create"}, func(s map[string]any) { delete(s, "annotations") })
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("got %#x: %s", status, out)
		}
		if traces, err := Load(c.dir); err != nil || len(traces) > 0 {
			t.Errorf("got %v, %v", traces, err)
		}
	})
	t.Run("with a bad directory it is refused", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-create"}, func(s map[string]any) {
			s["annotations"] = map[string]any{traceAnnotation: "/nonexistent"}
		})
		cmd := c.runc("create", "--bundle", c.bundle, c.id)
		cmd.Stderr = nil
		if err := cmd.Run(); err == nil {
			t.Fatal("was created")
		}
		log, err := os.ReadFile(filepath.Join(c.bundle, "log"))
		if err != nil || !strings.Contains(string(log), traceAnnotation) {
			t.Errorf("log does not say why: %s %v", log, err)
		}
	})
	t.Run("a failing create is reported by runc", func(t *testing.T) {
		c := newContainer(t, writer, nil, func(s map[string]any) {
			s["process"].(map[string]any)["args"] = []string{"/no/such/program"}
		})
		cmd := c.runc("create", "--bundle", c.bundle, c.id)
		cmd.Stderr = nil
		if err := cmd.Run(); err == nil {
			t.Fatal("was created")
		}
		log, _ := os.ReadFile(filepath.Join(c.bundle, "log"))
		if !strings.Contains(string(log), "no such file") {
			t.Errorf("log: %s", log)
		}
		wantAccesses(t, c.traces())
	})
}

func TestContainerSetUp(t *testing.T) {
	writer := buildWriter(t, "")
	t.Run("hooks are not the container's", func(t *testing.T) {
		outside := filepath.Join(t.TempDir(), "hook")
		c := newContainer(t, writer, []string{"openat-create"}, func(s map[string]any) {
			s["hooks"] = map[string]any{
				"createRuntime":   []any{map[string]any{"path": writer, "args": []string{"writer", "touch", outside + "1"}}},
				"createContainer": []any{map[string]any{"path": writer, "args": []string{"writer", "touch", outside + "2"}}},
				"startContainer":  []any{map[string]any{"path": "/bin/writer", "args": []string{"writer", "touch", "/tmp/hook3"}}},
			}
		})
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("ended with %#x: %s", status, out)
		}
		for _, name := range []string{outside + "1", outside + "2", filepath.Join(c.rootfs, "tmp/hook3")} {
			if _, err := os.Stat(name); err != nil {
				t.Errorf("hook did not run: %v", err)
			}
		}
		wantAccesses(t, c.traces(), at(trace.Create, "new", sized(5)))
	})
	t.Run("preserved descriptors reach it", func(t *testing.T) {
		c := newContainer(t, writer, []string{"print", "3", "hello"})
		r, w, err := os.Pipe()
		must(t, err)
		defer r.Close()
		pid := c.create(nil, w)
		w.Close()
		c.must("start", c.id)
		if got := readAll(t, r); got != "hello" {
			t.Errorf("got %q", got)
		}
		c.wait(pid)
		wantAccesses(t, c.traces())
	})
	t.Run("users are those of its user namespace", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-create"}, func(s map[string]any) {
			linux := s["linux"].(map[string]any)
			linux["namespaces"] = append(linux["namespaces"].([]any), map[string]any{"type": "user"})
			ids := []any{map[string]any{"containerID": 0, "hostID": 100000, "size": 65536}}
			linux["uidMappings"], linux["gidMappings"] = ids, ids
			s["process"].(map[string]any)["user"] = map[string]any{"uid": 33, "gid": 33}
		})
		must(t, os.Chmod(filepath.Join(c.rootfs, "desk"), 0o777))
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("ended with %#x: %s", status, out)
		}
		wantAccesses(t, c.traces(), at(trace.Create, "new", by(33), sized(5)))
	})
	t.Run("a root made by chroot has the container's paths", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-create", "openat-absolute-up", "mkdirat"}, func(s map[string]any) {
			s["mounts"] = append(s["mounts"].([]any), map[string]any{"destination": "/desk/sub", "type": "tmpfs", "source": "tmpfs"})
		})
		c.flags = []string{"--no-pivot"}
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("ended with %#x: %s", status, out)
		}
		wantAccesses(t, c.traces(), at(trace.Create, "new", sized(5)), at(trace.Create, "/tmp/new", sized(5)), at(trace.Mkdir, "sub/new", on("/desk/sub")))
	})
	t.Run("mounts are told apart", func(t *testing.T) {
		c := newContainer(t, writer, []string{"openat-dirfd", "openat-write"}, func(s map[string]any) {
			s["mounts"] = append(s["mounts"].([]any), map[string]any{"destination": "/desk/sub", "type": "tmpfs", "source": "tmpfs"})
		})
		if out, status := c.run(); status.ExitStatus() != 0 {
			t.Fatalf("ended with %#x: %s", status, out)
		}
		wantAccesses(t, c.traces(), at(trace.Create, "sub/new", on("/desk/sub")), at(trace.Write, "old", sized(12)))
	})
}

// TestNothingSeen checks that a trace without accesses proves that there were
// none only if the container's program was seen.
func TestNothingSeen(t *testing.T) {
	c := newContainer(t, buildWriter(t, ""), []string{"openat-create"})
	pid := c.create(nil)
	c.must("delete", "--force", c.id)
	c.wait(pid)
	waitUntil(t, "the trace says why it is empty", func() bool {
		traces, err := Load(c.dir)
		return err == nil && len(traces) == 1 && !traces[0].Complete && len(traces[0].Weak) == 1
	})
}

func TestExec(t *testing.T) {
	writer := buildWriter(t, "")
	c := newContainer(t, writer, []string{"sleep"})
	pid := c.create(nil)
	c.must("start", c.id)

	process := filepath.Join(c.bundle, "process.json")
	must(t, os.WriteFile(process, []byte(`{"args":["/bin/writer","mkdirat","exit","3"],"cwd":"/desk","user":{"uid":0,"gid":0}}`), 0o600))
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	pidFile := filepath.Join(c.bundle, "exec-pid")
	cmd := c.runc("exec", "--process", process, "--detach", "--pid-file", pidFile, c.id)
	cmd.Stdout = w
	must(t, cmd.Run())
	w.Close()
	readAll(t, r)
	data, err := os.ReadFile(pidFile)
	must(t, err)
	execPID, err := strconv.Atoi(string(data))
	must(t, err)
	if status := c.wait(execPID); status.ExitStatus() != 3 {
		t.Errorf("exec ended with %#x", status)
	}

	// In the foreground runc itself waits and returns the status.
	must(t, os.WriteFile(process, []byte(`{"args":["/bin/writer","exists","exit","3"],"cwd":"/desk","user":{"uid":0,"gid":0}}`), 0o600))
	cmd = c.runc("exec", "--process", process, c.id)
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("exec: %v", err)
	}
	c.must("kill", c.id, "KILL")
	c.wait(pid)
	var execs []trace.Access
	waitUntil(t, "commands are gathered in one trace", func() bool {
		names, _ := filepath.Glob(filepath.Join(c.dir, "exec-*"))
		return len(names) == 1 && filepath.Base(names[0]) == "exec-main.json"
	})
	for _, tr := range c.traces() {
		if tr.Root == "exec" {
			execs = append(execs, tr.Accesses...)
		}
	}
	want := []trace.Access{at(trace.Mkdir, "sub/new"), at(trace.Create, "old", errno("EEXIST"), sized(7)), at(trace.Mkdir, "sub", errno("EEXIST"))}
	if diff := cmp.Diff(execs, want, sorted); diff != "" {
		t.Error(diff)
	}
}

// TestTracerKilled checks that a container ends with its tracer, because its
// calls would fail without one.
func TestTracerKilled(t *testing.T) {
	c := newContainer(t, buildWriter(t, ""), []string{"fork", "loop", "100000000"})
	pid := c.create(nil)
	c.must("start", c.id)
	waitUntil(t, "the container writes", func() bool {
		traces, err := Load(c.dir)
		return err == nil && len(traces) == 1 && len(traces[0].Accesses) > 0
	})
	tracer, err := strconv.Atoi(field(readFile(t, "/proc/"+strconv.Itoa(pid)+"/status"), "TracerPid"))
	must(t, err)
	must(t, unix.Kill(tracer, unix.SIGKILL))
	if status := c.wait(pid); !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("container ended with %#x", status)
	}
	traces, err := Load(c.dir)
	must(t, err)
	if len(traces) != 1 || traces[0].Complete {
		t.Errorf("got %d traces, complete: %v", len(traces), traces[0].Complete)
	}
	c.wait(tracer)
	c.must("delete", c.id)
}

// TestWrapperKilled checks that killing the wrapper kills runc.
func TestWrapperKilled(t *testing.T) {
	c := newContainer(t, buildWriter(t, ""), []string{"sleep"})
	pid := c.create(nil)
	c.must("start", c.id)
	process := filepath.Join(c.bundle, "process.json")
	must(t, os.WriteFile(process, []byte(`{"args":["/bin/writer","sleep"],"cwd":"/desk","user":{"uid":0,"gid":0}}`), 0o600))
	cmd := c.runc("exec", "--process", process, c.id)
	must(t, cmd.Start())
	waitUntil(t, "runc runs", func() bool { return len(running("runc", c.root)) > 0 })
	must(t, cmd.Process.Kill())
	cmd.Wait()
	waitUntil(t, "runc is gone", func() bool { return len(running("runc", c.root)) == 0 })
	c.must("kill", c.id, "KILL")
	c.wait(pid)
	c.traces()
}

func TestJobControl(t *testing.T) {
	writer := buildWriter(t, "")
	for _, args := range [][]string{
		{"jobs"}, {"threads", "40"}, {"thread-exec", "openat-create"}, {"fork", "fork", "fork", "openat-create"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			c := newContainer(t, writer, args)
			if out, status := c.run(); status.ExitStatus() != 0 {
				t.Errorf("ended with %#x: %s", status, out)
			}
			wanted := []trace.Access{at(trace.Create, "new", sized(5))}
			switch args[0] {
			case "jobs":
				wanted = []trace.Access{at(trace.Create, "at-end")}
			case "threads":
				wanted = nil
				for i := range 40 {
					wanted = append(wanted, at(trace.Create, "thread-"+strconv.Itoa(i)))
				}
			}
			wantAccesses(t, c.traces(), wanted...)
		})
	}
}

func wantAccesses(t *testing.T, traces []trace.Trace, want ...trace.Access) {
	t.Helper()
	if len(traces) != 1 {
		t.Fatalf("got %d traces", len(traces))
	}
	if diff := cmp.Diff(traces[0].Accesses, want, sorted, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("accesses (-got +want):\n%s", diff)
	}
	if len(traces[0].Weak) > 0 {
		t.Errorf("weak: %q", traces[0].Weak)
	}
}

// running lists the processes of a program that have arg on their command line.
func running(program, arg string) []string {
	var list []string
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		data, _ := os.ReadFile(name)
		args := strings.Split(string(data), "\x00")
		if filepath.Base(args[0]) == program && slices.Contains(args, arg) {
			list = append(list, name)
		}
	}
	return list
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	must(t, err)
	return string(data)
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after a minute: %s", what)
		}
	}
}
