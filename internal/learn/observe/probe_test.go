package observe

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestProbe requires all features on a kernel that is new enough, and nothing
// left behind.
func TestProbe(t *testing.T) {
	features := Probe(t.Context())
	for _, f := range features {
		t.Logf("%-16s %-5v %s", f.Name, f.OK, f.Detail)
		if f.Detail == "" || !f.OK && f.Name != "kernel" && f.Without == "" {
			t.Errorf("%s says too little: %+v", f.Name, f)
		}
	}
	for _, name := range []string{"ptrace", "seccomp-trace", "openat2", "statx-mount-id", "overlay", "pidfd"} {
		if !slices.ContainsFunc(features, func(f Feature) bool { return f.Name == name && f.OK }) {
			t.Errorf("%s is missing", name)
		}
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if strings.Contains(string(after), "adamant-probe-") {
		t.Error("mounts were left behind")
	}
	left, err := os.ReadDir(os.TempDir())
	must(t, err)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "adamant-probe-") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}
