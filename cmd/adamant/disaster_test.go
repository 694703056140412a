package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// TestReboot simulates a reboot: it kills all processes and removes the mounts,
// the network and the state directory. The next daemon starts the declared
// workload again.
func TestReboot(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("reboot", "a", "")
	port := freePort(t)
	s.apply(webManifest("reboot", 2, port))
	before := s.ended("web")
	s.reboot()
	after := s.ended("web")
	if after.Generation != before.Generation || after.Phase != rollout.Complete {
		t.Errorf("after the reboot it is %s at generation %d, before it was %s at %d", after.Phase, after.Generation, before.Phase, before.Generation)
	}
	s.until("a request is answered", func() bool { return fetch(port) != "" })
	s.onlyRuns(2)
	check(t, s.adamant("delete", "web", "svc/web"))
}

func (s *served) reboot() {
	s.t.Helper()
	network, err := s.network()
	check(s.t, err)
	s.kill()
	for _, program := range []string{"adamant", "containerd", "containerd-shim"} {
		s.until(program+" is killed", func() bool { return killAll(s.processes(program)) == 0 })
	}
	s.until("all processes of the pods are killed", func() bool { return killAll(s.podProcesses()) == 0 })
	s.unmount()
	check(s.t, errors.Join(os.RemoveAll(s.state), exec.Command("ip", "link", "delete", network.bridge).Run()))
	s.start()
}

// killAll kills processes and returns how many there were.
func killAll(pids []int) int {
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	return len(pids)
}

// podProcesses returns the processes in the cgroups of the lab's pods.
func (s *served) podProcesses() []int {
	s.t.Helper()
	pods, err := os.ReadDir(filepath.Join(s.root, "pods"))
	check(s.t, err)
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	check(s.t, err)
	var pids []int
	for _, path := range all {
		cgroups, err := os.ReadFile(path)
		pid, notANumber := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || notANumber != nil {
			continue // it ended
		}
		// systemd's slices have underscores in the place of dashes.
		line := strings.ReplaceAll(string(cgroups), "_", "-")
		if slices.ContainsFunc(pods, func(p os.DirEntry) bool { return strings.Contains(line, p.Name()) }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// unmount unmounts everything below the lab's directory, the latest mount first.
func (s *served) unmount() {
	s.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	check(s.t, err)
	for _, line := range slices.Backward(strings.Split(string(mounts), "\n")) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], s.dir+"/") {
			check(s.t, unix.Unmount(f[4], unix.MNT_DETACH))
		}
	}
}

// onlyRuns waits until there are exactly n pods.
func (s *served) onlyRuns(n int) {
	s.t.Helper()
	var pods report.PodList
	s.until(fmt.Sprintf("there are %d pods", n), func() bool {
		return s.ask(&pods, "ps", "-o", "json") == nil && len(pods.Pods) == n
	})
}

// TestFullDisk fills the disk while instances run. They keep serving, and once
// there is space again the declared version is rolled out. The daemon is killed
// while the disk is full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	s := serveOn(t, filepath.Join(disk, "root"))
	s.load("full-a", "a", "")
	s.load("full-b", "b", "")
	port := freePort(t)
	s.apply(webManifest("full-a", 2, port))
	s.ended("web")
	file := filepath.Join(s.dir, "b.yaml")
	check(t, os.WriteFile(file, []byte(webManifest("full-b", 2, port)), 0o600))

	full := filepath.Join(disk, "full")
	fill(t, full)
	err := s.adamant("apply", "-f", file) // it may or may not be recorded
	t.Logf("applied on a full disk: %v", err)
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if fetch(port) == "" {
			t.Fatal("on a full disk no request is answered")
		}
	}
	s.kill()
	check(t, os.Remove(full))
	s.start()

	check(t, s.adamant("apply", "--retry", "-f", file)) // it may have been rolled back
	if st := s.ended("web"); st.Phase != rollout.Complete || st.Generation != 2 {
		t.Errorf("with room on the disk it is %s at generation %d: %s", st.Phase, st.Generation, st.Reason)
	}
	s.until("the new version answers", func() bool { return strings.Contains(fetch(port), "b") })
	s.onlyRuns(2)
	var doc struct{ History local.History }
	check(t, s.ask(&doc, "rollout", "history", "web", "-o", "json"))
	// The rollout on the full disk may have been recorded and rolled back.
	rollouts := slices.DeleteFunc(doc.History.Rollouts, func(a local.Attempt) bool { return a.Outcome == rollout.RolledBack })
	if len(rollouts) != 2 || rollouts[1].Generation != 2 {
		t.Errorf("the history has these rollouts that were not rolled back, want 2: %+v", rollouts)
	}
	check(t, s.adamant("delete", "web", "svc/web"))
}

// smallDisk mounts a small file system and returns its directory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "adamant-disk-")
	check(t, err)
	check(t, unix.Mount("small", dir, "tmpfs", 0, "size=200m"))
	t.Cleanup(func() { check(t, errors.Join(unix.Unmount(dir, 0), os.Remove(dir))) })
	return dir
}

func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	check(t, err)
	defer f.Close()
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); errors.Is(err, unix.ENOSPC) {
			n /= 2
		} else {
			check(t, err)
		}
	}
}

// TestImageGone removes images without the daemon. A manifest without its image is
// refused, and instances keep running. An instance that cannot be restarted
// reports the missing image, and starts once the image is loaded again.
func TestImageGone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("gone-a", "a", "")
	s.load("gone-b", "b", "")
	port := freePort(t)
	s.apply(webManifest("gone-a", 2, port))
	s.ended("web")

	s.removeImage("gone-b")
	file := filepath.Join(s.dir, "b.yaml")
	check(t, os.WriteFile(file, []byte(webManifest("gone-b", 2, port)), 0o600))
	if err := s.adamant("apply", "-f", file); err == nil || !strings.Contains(err.Error(), "gone-b") {
		t.Errorf("applying what has no image: %v", err)
	}
	if st := s.ended("web"); st.Generation != 1 {
		t.Errorf("a generation without an image was begun: %+v", st)
	}

	s.removeImage("gone-a")
	if fetch(port) == "" {
		t.Error("instances whose image is removed do not serve")
	}
	for _, pid := range s.processes("/web") {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.until("the status says what is missing", func() bool {
		var doc struct{ Workload local.Status }
		err := s.ask(&doc, "status", "web", "-o", "json")
		for _, i := range doc.Workload.Instances {
			if err == nil && strings.Contains(i.Message, "gone-a") {
				return true
			}
		}
		return false
	})
	s.load("gone-a", "a", "")
	if st := s.ended("web"); st.Generation != 1 {
		t.Errorf("with its image it is at generation %d", st.Generation)
	}
	s.until("a request is answered", func() bool { return fetch(port) != "" })
	check(t, s.adamant("delete", "web", "svc/web"))
}

// removeImage removes an image from the runtime, with all its names and its ID.
func (s *served) removeImage(name string) {
	s.t.Helper()
	ctr := func(args ...string) string {
		out, err := exec.Command("ctr", append([]string{"--address", filepath.Join(s.state, "containerd.sock"), "--namespace", "k8s.io", "images"}, args...)...).CombinedOutput()
		if err != nil {
			s.t.Fatalf("ctr %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	digest := ""
	for line := range strings.Lines(ctr("ls")) {
		if f := strings.Fields(line); strings.Contains(f[0], "/"+name) {
			digest = f[2]
		}
	}
	// The runtime adds the ID when it handles the event for a name, which may be
	// after the name was removed.
	s.until("the image has no name", func() bool {
		named := false
		for line := range strings.Lines(ctr("ls")) {
			if f := strings.Fields(line); f[2] == digest {
				named = true
				ctr("rm", "--sync", f[0])
			}
		}
		return !named
	})
}
