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

	"github.com/containerd/containerd/v2/core/snapshots"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/engine"
)

// checkNothing looks for pods, sandboxes, containers, snapshots, mounts,
// cgroups, processes and trace directories: none of them may be left.
func checkNothing(t *testing.T, e *engine.Engine) {
	t.Helper()
	ctx := context.Background()
	pods, err := e.Pods(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		t.Errorf("pod %s is left: %s", p.Name, p.Phase)
	}
	cri := e.Daemon().CRI()
	sandboxes, err := cri.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sandboxes.Items {
		t.Errorf("sandbox of pod %s is left", s.GetMetadata().GetName())
	}
	containers, err := cri.ListContainers(ctx, &runtimeapi.ListContainersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Containers {
		t.Errorf("container %s is left", c.GetMetadata().GetName())
	}
	err = e.Daemon().Client().SnapshotService(e.Daemon().Snapshotter()).Walk(ctx, func(_ context.Context, s snapshots.Info) error {
		if s.Kind != snapshots.KindCommitted {
			t.Errorf("snapshot %s is left: %v", s.Name, s.Labels)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, l)
	checkProcesses(t, l)
}

func checkFiles(t *testing.T, l *lab) {
	t.Helper()
	for _, pattern := range []string{"root/learn/trial-*", "root/pods/[^.]*", "root/pods/.new-*"} {
		left, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			t.Errorf("%s is left", path)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, l.dir) {
			t.Errorf("mount is left: %s", line)
		}
	}
	checkCgroups(t, l)
}

// checkCgroups looks for cgroups of pods, in either version's hierarchy.
func checkCgroups(t *testing.T, l *lab) {
	t.Helper()
	id := sha256.Sum256([]byte(l.options.Root))
	for _, pattern := range []string{"/sys/fs/cgroup/adamant_%s*", "/sys/fs/cgroup/*/adamant_%s*"} {
		left, err := filepath.Glob(fmt.Sprintf(pattern, hex.EncodeToString(id[:8])))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			t.Errorf("cgroup %s is left", path)
		}
	}
}

// checkProcesses looks for shims and tracers of the lab.
func checkProcesses(t *testing.T, l *lab) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), l.dir) {
			continue
		}
		if args := strings.Split(string(raw), "\x00"); strings.Contains(args[0], "shim") || strings.Contains(args[0], "adamant-runc") {
			t.Errorf("process %s is left: %q", filepath.Dir(path), args)
		}
	}
}
