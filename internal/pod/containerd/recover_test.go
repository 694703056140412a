package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// startEnv makes the test's binary start a daemon with the options in its value
// (JSON), print the daemon's PID and exit.
const startEnv = "ADAMANT_TEST_START"

func startAsProcess(options string) int {
	var o Options
	err := json.Unmarshal([]byte(options), &o)
	if err == nil {
		_, err = Start(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	l, _ := newLayout(o.Root, o.State)
	p, err := findProcess(l)
	fmt.Println(p.pid, err)
	return 0
}

func TestManyStartOne(t *testing.T) {
	_, o := startTest(t)
	if err := Stop(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	printed := make([]string, 4)
	for i := range printed {
		group.Go(func() error {
			cmd := exec.Command(self(t))
			cmd.Env = append(os.Environ(), startEnv+"="+string(raw))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			printed[i] = string(out)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, p := range printed[1:] {
		if p != printed[0] {
			t.Errorf("processes found %q", printed)
		}
	}
	// The daemon outlives the process that started it, and Start finds it.
	d, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l, _ := newLayout(o.Root, o.State)
	p, err := findProcess(l)
	if err != nil || p == nil {
		t.Fatalf("daemon is not found: %v", err)
	}
	defer p.close()
	if got := fmt.Sprintln(p.pid, nil); got != printed[0] {
		t.Errorf("daemon is process %s, was %s", got, printed[0])
	}
}

// TestPodsSurviveContainerd kills the daemon. The next Start restarts it, and
// the same container still runs.
func TestPodsSurviveContainerd(t *testing.T) {
	d, o := startTest(t)
	loadProbe(t, d)
	id := startProbe(t, d, "survivor", "wait")
	before := statusOf(t, d, id)
	killDaemon(t, d)
	again, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after := statusOf(t, again, id)
	if diff := cmp.Diff(after, before); diff != "" {
		t.Errorf("container (-got +want):\n%s", diff)
	}
	res, err := again.CRI().Run(t.Context(), id, []string{"/probe", "exit", "5"}, 0)
	if err != nil || res.ExitCode != 5 {
		t.Errorf("exec after the restart: %+v, %v", res, err)
	}
}

// TestLeases ends the leases of requests whose process was killed, with their snapshots,
// and keeps those of a process that runs. After the daemon was killed in the middle of a
// request, the next Start removes its lease. It keeps a lease that does not expire, as
// sandboxes have.
func TestLeases(t *testing.T) {
	d, o := startTest(t)
	hold := func(key string, opts ...leases.Opt) {
		lease, err := d.Client().LeasesService().Create(t.Context(), append(opts, leases.WithID(key))...)
		if err == nil {
			_, err = d.Client().SnapshotService(d.Snapshotter()).Prepare(leases.WithLease(t.Context(), lease.ID), key, "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(d *Daemon, stays map[string]bool) {
		t.Helper()
		for key, stays := range stays {
			_, err := d.Client().SnapshotService(d.Snapshotter()).Stat(t.Context(), key)
			if stays && err != nil || !stays && !errdefs.IsNotFound(err) {
				t.Errorf("snapshot %s: got %v, want that it stays: %t", key, err, stays)
			}
		}
	}
	request := leases.WithExpiration(24 * time.Hour)
	self, err := holder(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	pid, rest, _ := strings.Cut(self, " ")
	_, space, _ := strings.Cut(rest, " ")
	hold("of-a-killed-process", request, leases.WithLabel(holderLabel, fmt.Sprint(ended.Process.Pid, " 1 ", space)))
	hold("of-a-reused-pid", request, leases.WithLabel(holderLabel, pid+" 1 "+space))
	hold("of-another-namespace", request, leases.WithLabel(holderLabel, fmt.Sprint(ended.Process.Pid, " 1 pid:[1]")))
	hold("of-this-process", request, leases.WithLabel(holderLabel, self))
	hold("of-a-request", request)
	hold("of-a-sandbox")
	if _, err := d.Images(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(d, map[string]bool{
		"of-a-killed-process": false, "of-a-reused-pid": false,
		"of-another-namespace": true, "of-this-process": true, "of-a-request": true, "of-a-sandbox": true,
	})
	killDaemon(t, d)
	again, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	check(again, map[string]bool{"of-a-request": false, "of-this-process": false, "of-a-sandbox": true})
}

// TestShimsOfAKilledDaemon starts a shim that the daemon does not know, as it is
// left when the daemon is killed while it starts one. The next Start ends it, and
// keeps the shim of a running pod and of a pod whose sandbox ended.
func TestShimsOfAKilledDaemon(t *testing.T) {
	d, o := startTest(t)
	loadProbe(t, d)
	startProbe(t, d, "whole", "wait")
	startProbe(t, d, "without-sandbox", "wait")
	pods, err := d.CRI().ListPodSandbox(t.Context(), &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	pod := pods.Items[slices.IndexFunc(pods.Items, func(p *runtimeapi.PodSandbox) bool { return p.Metadata.Name == "without-sandbox" })].Id
	tasks, err := d.Client().TaskService().List(t.Context(), &tasksapi.ListTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks.Tasks {
		if task.ID == pod {
			if err := unix.Kill(int(task.Pid), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	startShim(t, d, "unknown")
	ids := func() (ids []string) {
		shims, err := findShims(d.layout)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shims {
			ids = append(ids, s.id)
		}
		slices.Sort(ids)
		return ids
	}
	// A process that has just begun has no arguments yet.
	await := func(wanted func([]string) bool) []string {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			got := ids()
			if wanted(got) {
				return got
			}
			if time.Now().After(deadline) {
				t.Fatalf("shims: %v", got)
			}
		}
	}
	before := await(func(got []string) bool { return len(got) == 3 && slices.Contains(got, "unknown") })
	killDaemon(t, d)
	again, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	want := slices.DeleteFunc(before, func(id string) bool { return id == "unknown" })
	await(func(got []string) bool { return slices.Equal(got, want) }) // a killed process is listed until it is reaped

	// Nor does a running daemon know one that it began for a caller that was killed.
	startShim(t, again, "unknown-to-a-running-daemon")
	await(func(got []string) bool { return len(got) == 3 })
	if err := again.RemoveLostShims(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(func(got []string) bool { return slices.Equal(got, want) })
}

// startShim starts a shim as containerd before 2.3 does. Later shims expect more on
// standard input, but look the same from outside.
func startShim(t *testing.T, d *Daemon, id string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "containerd-shim-runc-v2", "-namespace", Namespace, "-address", d.layout.socket(), "-publish-binary", "containerd", "-id", id, "start")
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "config.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A shim without a log ends.
	log := filepath.Join(cmd.Dir, "log")
	if err := unix.Mkfifo(log, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	cmd.Env = append(os.Environ(), "TTRPC_ADDRESS="+d.layout.socket()+".ttrpc", "GRPC_ADDRESS="+d.layout.socket(), "NAMESPACE="+Namespace)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// killDaemon kills the daemon and waits for its end.
func killDaemon(t *testing.T, d *Daemon) {
	t.Helper()
	p, err := findProcess(d.layout)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := unix.PidfdSendSignal(p.handle, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	p.wait(t.Context(), readyWithin)
}

// TestStopByForce stops a daemon that was killed and cannot be started again.
func TestStopByForce(t *testing.T) {
	d, o := startTest(t)
	loadProbe(t, d)
	startProbe(t, d, "stubborn", "wait")
	killDaemon(t, d)
	sockets := shimSockets(d.layout)
	if len(sockets) == 0 {
		t.Error("no shim's socket is found")
	}
	t.Setenv(BinDirEnv, brokenContainerd(t))
	if err := Stop(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, d)
	for _, s := range sockets {
		if _, err := os.Lstat(s); err == nil {
			t.Errorf("shim's socket %s is left", s)
		}
	}
}

func TestStopLeavesNothing(t *testing.T) {
	d, o := startTest(t)
	loadProbe(t, d)
	startProbe(t, d, "one", "wait")
	config := sandboxConfig("two")
	config.PortMappings = []*runtimeapi.PortMapping{{ContainerPort: 80, HostPort: 18080, HostIp: "127.0.0.1"}}
	if _, err := d.CRI().RunPodSandbox(t.Context(), &runtimeapi.RunPodSandboxRequest{Config: config}); err != nil {
		t.Fatal(err)
	}
	if err := d.Mount(t.Context(), probeName, filepath.Join(o.State, "views", "x")); err != nil {
		t.Fatal(err)
	}
	if err := Stop(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	checkNothingLeft(t, d)
}

// checkNothingLeft checks that a stopped daemon left no processes, mounts,
// interface, firewall rules, cgroups or files.
func checkNothingLeft(t *testing.T, d *Daemon) {
	t.Helper()
	l := d.layout
	for _, dir := range []string{l.root, l.state} {
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
	table, err := mounts.Self()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range table {
		if strings.HasPrefix(m.Point, l.root) || strings.HasPrefix(m.Point, l.state) {
			t.Errorf("mount %s is left", m.Point)
		}
	}
	if _, err := os.Stat("/sys/class/net/" + l.bridge()); err == nil {
		t.Errorf("interface %s is left", l.bridge())
	}
	for _, table := range []string{"nat", "filter"} {
		rules, err := listRules(t.Context(), lookPath("iptables"), table)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			if subnet, _, _ := strings.Cut(d.network.Subnet.String(), "0/"); strings.Contains(r, l.bridge()) || strings.Contains(r, subnet) {
				t.Errorf("rule %q is left in table %s", r, table)
			}
		}
	}
	if c, err := net.ListenPacket("udp4", netip.AddrPortFrom(d.network.Services.Addr(), 0).String()); err == nil {
		t.Errorf("addresses of Services are left: %s", c.LocalAddr())
		c.Close()
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		if raw, err := os.ReadFile(path); err == nil && (strings.Contains(string(raw), l.root) || strings.Contains(string(raw), l.state)) {
			t.Errorf("process %s is left: %q", path, raw)
		}
	}
}

// brokenContainerd returns a directory with a containerd that does not start.
func brokenContainerd(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo containerd x v1.6.0 && exit\necho I will not >&2\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "containerd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestStartSaysWhyNot(t *testing.T) {
	t.Setenv(BinDirEnv, brokenContainerd(t))
	o := Options{Root: tempDir(t, "/var/tmp"), State: tempDir(t, "/run")}
	_, err := Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "I will not") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got error %v, want the log's end and the exit status", err)
	}
	if err := Stop(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestDirectoriesOfOthers(t *testing.T) {
	o := Options{Root: tempDir(t, "/var/tmp"), State: tempDir(t, "/run")}
	precious := filepath.Join(o.Root, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), o); err == nil {
		t.Error("started in a directory with files of others")
	}
	if err := Stop(t.Context(), o); err == nil {
		t.Error("stopped in a directory with files of others")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("file of others: %v", err)
	}
}

// TestDirectoriesOthersWriteTo checks that a directory is refused if another user
// may write to it, because that user could replace files that root runs.
func TestDirectoriesOthersWriteTo(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"another user's": func(dir string) error { return os.Chown(dir, 1000, 0) },
		"writable":       func(dir string) error { return os.Chmod(dir, 0o777) },
		"of a group":     func(dir string) error { return os.Chmod(dir, 0o770) },
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Root: tempDir(t, "/var/tmp"), State: tempDir(t, "/run")}
			if err := change(o.State); err != nil {
				t.Fatal(err)
			}
			if d, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "others may write") {
				if err == nil {
					d.Close()
					Stop(t.Context(), o)
				}
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}

func statusOf(t *testing.T, d *Daemon, id string) (got struct{ State, StartedAt string }) {
	t.Helper()
	resp, err := d.CRI().ContainerStatus(t.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: id})
	if cri.IsNotFound(err) {
		t.Fatalf("container is lost: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	got.State, got.StartedAt = resp.Status.State.String(), fmt.Sprint(resp.Status.StartedAt)
	return got
}

// TestTheMachineIsAsBefore runs another test in new network and PID namespaces.
// No other program uses CNI there, so that Stop must remove even the shared
// chains of the firewall.
func TestTheMachineIsAsBefore(t *testing.T) {
	const script = `ip link set lo up && "$0" -test.run '^TestStopLeavesNothing$' >&2 && iptables -S && iptables -t nat -S`
	cmd := exec.Command("unshare", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", script, self(t))
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errors.String())
	}
	for _, rule := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if !strings.HasPrefix(rule, "-P ") {
			t.Errorf("rule %q is left", rule)
		}
	}
}

// An import fails, and does not wait forever, if the runtime ends during it.
func TestWriteWhenTheRuntimeEnded(t *testing.T) {
	d, _ := startTest(t)
	killDaemon(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	content := []byte("content")
	err := d.writeContent(ctx, bytes.NewReader(content), describe("text/plain", content), nil)
	if err == nil || !cri.IsUnavailable(err) || ctx.Err() != nil {
		t.Errorf("got %v, want that the runtime does not answer", err)
	}
}
