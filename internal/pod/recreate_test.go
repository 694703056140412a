package pod

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// Supervise recreates a pod whose sandbox and mounts are gone, as after a reboot.
// The pod keeps its volumes on disk.
func TestSuperviseRevives(t *testing.T) {
	e := openTest(t)
	s := named(everyVolume("revived"))
	p := create(t, e, s)
	run(t, p, "write", "/disk/kept", "x")
	run(t, p, "write", "/memory/lost", "x")
	if _, err := e.cri.StopPodSandbox(t.Context(), &runtimeapi.StopPodSandboxRequest{PodSandboxId: p.SandboxID}); err != nil {
		t.Fatal(err)
	}
	if err := volume.UnmountBelow(newLayout(e.opts.Root, p.UID).Dir); err != nil {
		t.Fatal(err)
	}
	if err := p.Refresh(t.Context()); err != nil || p.Phase != Lost {
		t.Fatalf("got %s, %v; want %s", p.Phase, err, Lost)
	}
	var r recorder
	supervise(t, p, &r)
	await(t, r.seen, func(s string) bool { return s == "Started main" })
	found, err := e.Find(t.Context(), p.UID)
	if err != nil || found.Phase != Running {
		t.Fatal(found, err)
	}
	if got := run(t, found, "ls", "/memory"); got != "/memory\n" {
		t.Errorf("in memory: %q", got)
	}
	if got := run(t, found, "cat", "/disk/kept", "/config/k", "/secret/k"); got != "x\nvv" {
		t.Errorf("got %q of the volumes", got)
	}
}

// If the runtime ends while a pod is created, Create returns an error, and the
// next Open leaves nothing of the pod.
func TestRuntimeKilled(t *testing.T) {
	e := openTest(t)
	e.opts.step = func(step string) {
		if step == "started first" {
			killRuntime(t, e)
		}
	}
	if p, err := e.Create(t.Context(), named(everyVolume("unlucky")), nil); err == nil {
		t.Errorf("got a pod: %+v", p)
	}
	again := openTest(t)
	checkNothing(t, again)
	p := create(t, again, testPod(t))
	// The runtime is killed; pods outlive it.
	killRuntime(t, again)
	found, err := openTest(t).Find(t.Context(), p.Name)
	if err != nil || found.Phase != Running {
		t.Fatal(found, err)
	}
	if got := run(t, found, "echo", "alive"); got != "alive\n" {
		t.Errorf("got %q", got)
	}
	if err := found.Remove(t.Context(), 0, nil); err != nil {
		t.Error(err)
	}
}

// killRuntime kills the tests' containerd and waits for its end.
func killRuntime(t *testing.T, e *Engine) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Error(err)
		return
	}
	for _, name := range all {
		line, _ := os.ReadFile(name)
		args := bytes.Split(line, []byte{0})
		if filepath.Base(string(args[0])) != "containerd" || !strings.Contains(string(line), e.opts.Root) && !strings.Contains(string(line), e.opts.State) {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err == nil {
			err = endProcess(pid)
		}
		if err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("found no containerd to kill")
}

func endProcess(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
	if err == nil && n == 0 {
		err = fmt.Errorf("process %d: %w", pid, context.DeadlineExceeded)
	}
	return err
}
