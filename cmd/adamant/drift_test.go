package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/adamant-sh/adamant/internal/pod"
)

const sleeper = `apiVersion: v1
kind: Pod
metadata: {name: leaver}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: "adamant.test/nginx-debian:1", command: [sleep, "1000"]}
`

// A pod that is removed while all are looked at is none of them; one that was
// asked for by name cannot be looked at, which is not clean.
func TestDriftOfPodsThatGo(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	file := filepath.Join(t.TempDir(), "pod.yaml")
	check(t, os.WriteFile(file, []byte(sleeper), 0o600))
	check(t, l.adamant("run", "-d", "-f", file))
	e, err := pod.Open(t.Context(), pod.Options{Root: l.root, State: l.state, Executable: filepath.Join(l.bin, "adamant")})
	check(t, err)
	defer e.Close()
	p, err := e.Find(t.Context(), "leaver")
	check(t, err)
	found := []*pod.Pod{p}
	if reports, err := driftOfPods(t.Context(), e, found); err != nil || len(reports) != 1 || len(reports[0].Unknowns) > 0 {
		t.Errorf("while it is there: %+v, %v", reports, err)
	}
	check(t, l.adamant("rm", "leaver"))
	if reports, err := driftOfPods(t.Context(), e, found); err != nil || len(reports) > 0 {
		t.Errorf("once it is gone: %+v, %v", reports, err)
	}
	if reports, err := driftOfPod(t.Context(), p, ""); err != nil || len(reports) != 1 || len(reports[0].Unknowns) == 0 {
		t.Errorf("once it is gone, by name: %+v, %v", reports, err)
	}
}
