package observe

import (
	"os"
	"strings"
	"testing"
)

// TestProbe wants all of a kernel that is new enough, and nothing left behind.
func TestProbe(t *testing.T) {
	support := Probe(t.Context())
	for _, f := range support {
		t.Logf("%-16s %-5v %s", f.Name, f.OK, f.Detail)
		if f.Detail == "" || !f.OK && f.Name != "kernel" && f.Without == "" {
			t.Errorf("%s says too little: %+v", f.Name, f)
		}
	}
	if err := support.Tracing(); err != nil {
		t.Errorf("cannot trace: %v", err)
	}
	for _, name := range []string{"ptrace", "seccomp-trace", "overlay", "pidfd"} {
		if !support.Has(name) {
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
