package learn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// cleanWithin is how long the runtime may take to finish and undo the requests
// of a killed command.
const cleanWithin = 20 * time.Second

// checkNothing fails the test if pods, sandboxes, containers, snapshots,
// mounts, cgroups, processes or trace directories are left.
func (l *lab) checkNothing(t *testing.T, e *pod.Engine) {
	t.Helper()
	for deadline := time.Now().Add(cleanWithin); ; {
		left, err := leftBehind(e, l)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind:\n%s", strings.Join(left, "\n"))
		}
		time.Sleep(200 * time.Millisecond)
		// The next engine removes the objects that the runtime created after
		// its caller was killed.
		if err := e.Recover(context.Background()); err != nil {
			t.Fatal(err)
		}
		collectGarbage(t, e)
	}
}

// collectGarbage makes containerd remove unreferenced objects. Containerd does
// that after a hundred changes, which a lab with one test does not reach, so a
// snapshot that was created just before containerd was killed would stay.
func collectGarbage(t *testing.T, e *pod.Engine) {
	t.Helper()
	manager := e.Daemon().Client().LeasesService()
	lease, err := manager.Create(context.Background(), leases.WithRandomID())
	if err == nil {
		err = manager.Delete(context.Background(), lease, leases.SynchronousDelete)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// leftBehind lists all objects except images.
func leftBehind(e *pod.Engine, l *lab) ([]string, error) {
	var left []string
	for _, look := range []func(*pod.Engine, *lab) ([]string, error){leftPods, leftInRuntime, leftFiles, leftMounts, leftProcesses} {
		found, err := look(e, l)
		if err != nil {
			return nil, err
		}
		left = append(left, found...)
	}
	return left, nil
}

func leftPods(e *pod.Engine, _ *lab) (left []string, err error) {
	pods, err := e.Pods(context.Background())
	for _, p := range pods {
		left = append(left, fmt.Sprintf("pod %s, %s", p.Name, p.Phase))
	}
	return left, err
}

func leftInRuntime(e *pod.Engine, _ *lab) (left []string, err error) {
	ctx, cri := context.Background(), e.Daemon().CRI()
	sandboxes, err := cri.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	for _, s := range sandboxes.Items {
		left = append(left, "sandbox of pod "+s.GetMetadata().GetName())
	}
	containers, err := cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	for _, c := range containers.Containers {
		left = append(left, "container "+c.GetMetadata().GetName())
	}
	err = e.Daemon().Client().SnapshotService(e.Daemon().Snapshotter()).Walk(ctx, func(_ context.Context, s snapshots.Info) error {
		if s.Kind != snapshots.KindCommitted {
			left = append(left, fmt.Sprintf("snapshot %s %v", s.Name, s.Labels))
		}
		return nil
	})
	return left, err
}

// leftFiles finds directories of pods and traces, and cgroups of pods in the
// hierarchies of both cgroup versions.
func leftFiles(_ *pod.Engine, l *lab) (left []string, err error) {
	id := sha256.Sum256([]byte(l.options.Root))
	groups := "adamant_" + hex.EncodeToString(id[:8]) + "*"
	for _, pattern := range []string{
		filepath.Join(l.options.Root, "learn/trial-*"), filepath.Join(l.options.Root, "pods/[^.]*"), filepath.Join(l.options.Root, "pods/.new-*"),
		filepath.Join("/sys/fs/cgroup", groups), filepath.Join("/sys/fs/cgroup/*", groups),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		left = append(left, found...)
	}
	return left, nil
}

func leftMounts(_ *pod.Engine, l *lab) (left []string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, l.options.Root) || strings.Contains(line, l.options.State) {
			left = append(left, "mount "+line)
		}
	}
	return left, err
}

// leftProcesses finds shims and tracers of the lab.
func leftProcesses(_ *pod.Engine, l *lab) (left []string, err error) {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), l.options.State) {
			continue
		}
		if args := strings.Split(string(raw), "\x00"); strings.Contains(args[0], "shim") || strings.Contains(args[0], "adamant-runc") {
			left = append(left, fmt.Sprintf("process %s: %q", filepath.Dir(path), args))
		}
	}
	return left, err
}
