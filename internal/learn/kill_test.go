package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

// command returns a command of the real program on the lab's containerd.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.options.Executable, args...)
	cmd.Env = append(os.Environ(), "ADAMANT_ROOT="+l.options.Root, "ADAMANT_STATE="+l.options.State)
	return cmd
}

// succeed runs a command and returns its standard output.
func succeed(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args[1:], err, out, stderr.String())
	}
	return string(out)
}

// manifestFile writes a manifest of a pod with an emptyDir in memory, whose
// mount could be left behind.
func manifestFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pod.yaml")
	text := hostilePod("write, /var/lib/app/x", "    volumeMounts: [{name: v, mountPath: /srv}]\n  volumes: [{name: v, emptyDir: {medium: Memory}}]\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// killAfter starts a command and kills it after a time, or returns when it has
// ended.
func killAfter(t *testing.T, cmd *exec.Cmd, d time.Duration) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { cmd.Process.Kill() })
	defer timer.Stop()
	cmd.Wait() // killed, or done already
}

// TestKilled kills commands at random moments. The next command must find
// nothing incomplete and must succeed. It runs alone, because the moments are those
// of a machine that is not busy.
func TestKilled(t *testing.T) {
	l, e := openHostile(t)
	archive, err := buildHostile()
	if err != nil {
		t.Fatal(err)
	}
	file := manifestFile(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, c := range []struct {
		name   string
		within time.Duration // that the command takes
		times  int
		args   []string
	}{
		{"learn", 8 * time.Second, 8, []string{"learn", file, "--exercise", "/hostile exit", "--quiet", "300ms"}},
		{"run", 1500 * time.Millisecond, 8, []string{"run", "-d", "-f", file}},
		{"load", 300 * time.Millisecond, 6, []string{"load", archive}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range c.times {
				d := time.Duration(random.Int64N(int64(c.within)))
				killAfter(t, l.command(t.Context(), c.args...), d)
				l.rest(t, e, d)
			}
			succeed(t, l.command(t.Context(), c.args...))
			succeed(t, l.command(t.Context(), "rm", "--all", "--grace", "0"))
			l.checkNothing(t, e)
		})
	}
}

// rest checks the state after a command that was killed after d: a complete
// pod, or nothing.
func (l *lab) rest(t *testing.T, e *pod.Engine, d time.Duration) {
	t.Helper()
	succeed(t, l.command(t.Context(), "ps"))
	pods, err := e.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		if p.Name != "hostile" || p.Phase != pod.Running {
			t.Errorf("killed after %s: pod %s is left, %s", d, p.Name, p.Phase)
		}
		if err := p.Remove(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	l.checkNothing(t, e)
	if t.Failed() {
		t.Fatalf("it was killed after %s", d)
	}
}

// containerdPID returns the process of the lab's containerd.
func (l *lab) containerdPID(t *testing.T) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), "\x00--config\x00"+l.options.Root) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	t.Fatal("the daemon is not there")
	return 0
}

// TestContainerdKilled kills the runtime while commands run. They must fail
// with an error that names the cause, or succeed, and later commands must work. It
// runs alone for the same reason as TestKilled.
func TestContainerdKilled(t *testing.T) {
	l, _ := openHostile(t)
	archive, err := buildHostile()
	if err != nil {
		t.Fatal(err)
	}
	file := manifestFile(t)
	for _, c := range []struct {
		name  string
		after time.Duration
		args  []string
	}{
		{"learn", 2 * time.Second, []string{"learn", file, "--exercise", "/hostile exit", "--quiet", "300ms"}},
		{"run", 300 * time.Millisecond, []string{"run", "-d", "-f", file}},
		{"load", 60 * time.Millisecond, []string{"load", archive}},
	} {
		t.Run(c.name, func(t *testing.T) {
			pid := l.containerdPID(t)
			cmd := l.command(t.Context(), c.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(c.after)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			t.Logf("%v: %s", err, stderr.String())
			if err != nil && !strings.Contains(stderr.String(), "the runtime ended meanwhile") {
				t.Errorf("%v, and it is not said why: %s", err, stderr.String())
			}
			succeed(t, l.command(t.Context(), "ps"))
			succeed(t, l.command(t.Context(), "rm", "--all", "--grace", "0"))
			succeed(t, l.command(t.Context(), c.args...))
			succeed(t, l.command(t.Context(), "rm", "--all", "--grace", "0"))
			l.checkNothing(t, l.open(t))
		})
	}
}

// testTracerKilled kills the tracer while a workload is being learned, which
// must be an error and never a result.
func testTracerKilled(t *testing.T, e *pod.Engine) {
	o := hostileOptions(t, e)
	o.Load.Quiet = 5 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var group errgroup.Group
	var learned error
	group.Go(func() error {
		_, learned = Learn(ctx, o, parseWorkload(t, strings.Replace(hostilePod("wait", ""), "name: main", "name: victim", 1)))
		return nil
	})
	killed := killTracer(ctx, e.Root())
	group.Wait()
	if killed != nil {
		t.Fatal(killed)
	}
	if learned == nil || !strings.Contains(learned.Error(), "cut short") {
		t.Errorf("got %v", learned)
	}
}

// killTracer waits until a trace was written, and kills the process that wrote
// it.
func killTracer(ctx context.Context, root string) error {
	for {
		traces, err := filepath.Glob(filepath.Join(root, learnRoot, "trial-*", traceFiles, "init-victim-*.json"))
		if err != nil {
			return err
		}
		for _, path := range traces {
			// init-CONTAINER-PID-TIME.json
			fields := strings.Split(filepath.Base(path), "-")
			pid, err := strconv.Atoi(fields[len(fields)-2])
			if err != nil {
				return err
			}
			time.Sleep(time.Second) // it may be at any point of the pod's life
			return syscall.Kill(pid, syscall.SIGKILL)
		}
		if err := clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return errors.Join(errors.New("no trace was written"), err)
		}
	}
}

// durations are the lines of a profile that differ from run to run.
var durations = regexp.MustCompile(`(?m)^duration: .*\n`)

// TestTwoAtOnce learns the same manifest twice at the same time, and loads the
// same image.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	l, e := openHostile(t)
	archive, err := buildHostile()
	if err != nil {
		t.Fatal(err)
	}
	file := manifestFile(t)
	for _, args := range [][]string{{"learn", file, "--exercise", "/hostile exit", "--quiet", "300ms"}, {"load", archive}} {
		var group errgroup.Group
		printed := make([]string, 2)
		for i := range printed {
			group.Go(func() error {
				cmd := l.command(t.Context(), args...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				printed[i] = durations.ReplaceAllString(string(out), "")
				if err != nil {
					return fmt.Errorf("%v: %w\n%s", args, err, stderr.String())
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		if printed[0] != printed[1] {
			t.Errorf("one printed\n%s\nthe other\n%s", printed[0], printed[1])
		}
	}
	l.checkNothing(t, e)
}
