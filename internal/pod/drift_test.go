package pod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/test/tartest"
)

// The files that an intruder left in a running container can be saved for later
// inspection.
func TestSaveChanges(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	run(t, p, "write", "/data/new", "evil")
	run(t, p, "write", "/etc/app/app.conf", "edited")
	c, err := p.Container("")
	if err != nil {
		t.Fatal(err)
	}
	inside, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", c.PID))
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if err := errors.Join(inside.Remove("data/file"), inside.Symlink("/etc/shadow", "tmp/link"), inside.Chmod("data/new", os.ModeSetuid|0o711)); err != nil {
		t.Fatal(err)
	}
	r, err := p.Drift(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	unknown, err := p.SaveChanges(t.Context(), c, r, &archive)
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, unknown)
	}
	got := tartest.Contents(t, &archive)
	want := map[string]string{
		"root/data/new": "4711 evil\n", "root/etc/app/app.conf": "0755 edited\n",
		"root/tmp/link": "0777 -> /etc/shadow", "DELETED": "0600 /data/file\n",
	}
	for name, content := range want {
		if diff := cmp.Diff(got[name], content); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A pod that is removed while all pods are compared is omitted. If it was selected
// by name, it is unknown and not clean.
func TestDriftOfPodsThatGo(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	found := []*Pod{p}
	if results, err := e.driftOf(t.Context(), found, DriftOptions{}); err != nil || len(results) != len(p.Containers) || len(results[0].Unknowns) > 0 {
		t.Errorf("while it runs: %+v, %v", results, err)
	}
	// Without its containers nothing can be compared, which is not clean.
	if _, err := e.cri.RemovePodSandbox(t.Context(), &runtimeapi.RemovePodSandboxRequest{PodSandboxId: p.SandboxID}); err != nil {
		t.Fatal(err)
	}
	lost, err := p.Fresh(t.Context())
	if err != nil || lost.Phase != Lost {
		t.Fatalf("got %s, %v; want %s", lost.Phase, err, Lost)
	}
	if results, err := e.driftOf(t.Context(), []*Pod{lost}, DriftOptions{}); err != nil || len(results) != len(p.Containers) || len(results[0].Unknowns) != 1 {
		t.Errorf("once its containers are gone: %+v, %v", results, err)
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if results, err := e.driftOf(t.Context(), found, DriftOptions{}); err != nil || len(results) > 0 {
		t.Errorf("once it is gone: %+v, %v", results, err)
	}
	if results, err := p.driftAll(t.Context(), DriftOptions{}, &layerVerifier{}); err != nil || len(results) == 0 || len(results[0].Unknowns) == 0 {
		t.Errorf("once it is gone, by name: %+v, %v", results, err)
	}
}
