package pod

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Supervise returns ErrLost when the sandbox of a pod was killed. The next call
// recreates it.
func TestSuperviseLost(t *testing.T) {
	e := openTest(t)
	for _, tt := range []struct {
		name   string
		victim func(*testing.T, int) int
		policy corev1.RestartPolicy
	}{
		{"pause", func(_ *testing.T, pause int) int { return pause }, corev1.RestartPolicyAlways},
		{"shim", parent, corev1.RestartPolicyAlways},
		{"shim of a pod that is not restarted", parent, corev1.RestartPolicyOnFailure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := testPod(t)
			s.Spec.RestartPolicy = tt.policy
			p := create(t, e, s)
			var r recorder
			result := supervise(t, p, &r)
			awaitReady(t, &r, true)
			if err := unix.Kill(tt.victim(t, pausePID(t, p)), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := await(t, result, func(error) bool { return true }); !errors.Is(err, ErrLost) {
				t.Fatalf("got %v, want %v", err, ErrLost)
			}
			awaitReady(t, &r, false)
			var again recorder
			supervise(t, p, &again)
			await(t, again.seen, func(s string) bool { return s == "Started main" })
			awaitReady(t, &again, true)
		})
	}
}

// pausePID returns the process of a pod's sandbox.
func pausePID(t *testing.T, p *Pod) int {
	t.Helper()
	resp, err := p.e.cri.PodSandboxStatus(t.Context(), &runtimeapi.PodSandboxStatusRequest{PodSandboxId: p.SandboxID, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	return statusPID(resp.Info)
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw)) // "pid (comm) state ppid", and pause has no space in its name
	ppid, err := strconv.Atoi(fields[3])
	if err != nil || ppid < 2 {
		t.Fatalf("parent of %d: %q", pid, raw)
	}
	return ppid
}
