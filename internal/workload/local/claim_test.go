package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

const claimText = `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
`

// What is written to a claim stays through a rollout, an undo, a deletion and a second
// apply, and only a claim that nothing uses can be removed.
func TestAClaimStays(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "kept-one:1", "one", web.Good)
	loadVersion(t, e, "kept-two:1", "two", web.Good)
	c := openController(t, e)
	manifestOf := func(image string) string {
		text := deployment("kept", image, 2, nil, "        volumeMounts: [{name: kept, mountPath: /kept, subPath: files}]\n      volumes: [{name: kept, persistentVolumeClaim: {claimName: kept}}]\n")
		return strings.Replace(text, "      containers:", "      securityContext: {fsGroup: 4711}\n      containers:", 1)
	}
	f, err := manifest.Parse("test.yaml", []byte(manifestOf("kept-one:1")))
	must(t, err)
	_, err = c.Apply(t.Context(), f, ApplyOptions{})
	var refused manifest.Errors
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "test.yaml:26:") || !strings.Contains(err.Error(), "there is no PersistentVolumeClaim default/kept (apply an object with kind: PersistentVolumeClaim") {
		t.Fatalf("a claim that does not exist: %v", err)
	}
	out := apply(t, c, manifestOf("kept-one:1")+claimText)
	if r := out.Results[0]; r.Kind != "PersistentVolumeClaim" || r.Action != Created {
		t.Errorf("got %+v", r)
	}
	s := ended(t, c, "kept", rollout.Complete)
	write(t, e, s.Instances[0].Name, "/kept/a", "one")
	write(t, e, s.Instances[1].Name, "/kept/b", "two") // both have the same directory, as on one node

	if r := apply(t, c, manifestOf("kept-two:1")+claimText).Results[0]; r.Action != Unchanged {
		t.Errorf("got %+v", r)
	}
	ended(t, c, "kept", rollout.Complete)
	_, err = c.Undo(s.Key, 0, Author{})
	must(t, err)
	ended(t, c, "kept", rollout.Complete)
	if err := c.RemoveClaim("default", "kept"); !errors.Is(err, pod.ErrClaimUsed) || !strings.Contains(err.Error(), "Deployment/kept") {
		t.Errorf("a claim that is in use was removed: %v", err)
	}
	list, err := c.Claims()
	must(t, err)
	if len(list) != 1 || len(list[0].Pods) < 2 || list[0].Workloads[0] != "Deployment/kept" || list[0].Bytes < 8192 || list[0].Requested != "1Gi" {
		t.Errorf("got %+v", list)
	}
	must(t, c.Delete(s.Key, Author{}))
	until(t, "the workload is gone", func() bool {
		list, err := c.List()
		return err == nil && len(list) == 0
	})
	apply(t, c, manifestOf("kept-one:1")) // the claim exists still
	s = ended(t, c, "kept", rollout.Complete)
	for name, want := range map[string]string{"a": "one", "b": "two"} {
		file := filepath.Join(e.Claims().Path("default", "kept"), "files", name)
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	must(t, c.Delete(s.Key, Author{}))
	until(t, "the workload is gone", func() bool {
		list, err := c.List()
		return err == nil && len(list) == 0
	})
	must(t, c.RemoveClaim("default", "kept"))
	if list, err := c.Claims(); err != nil || len(list) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}
