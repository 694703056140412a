package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// statefulSet returns the manifest of a StatefulSet of the web server.
func statefulSet(name, image string, replicas int, more string) string {
	text := deployment(name, image, replicas, nil, "        volumeMounts: [{name: data, mountPath: /data}]\n")
	text = strings.Replace(text, "kind: Deployment", "kind: StatefulSet", 1)
	for _, line := range []string{"  progressDeadlineSeconds: 40\n", "  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	return text + "  serviceName: " + name + `
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
` + more
}

// setEnded waits for the end of the rollout of a StatefulSet.
func setEnded(t *testing.T, c *Controller, name string, want rollout.Phase) Status {
	t.Helper()
	var s Status
	until(t, "the rollout of "+name+" ends", func() bool {
		var err error
		s, err = c.Status(Key{"default", "StatefulSet", name})
		must(t, err)
		return s.Phase.Ended() && s.Ready == s.Replicas && len(s.Instances) == s.Replicas
	})
	if s.Phase != want {
		t.Fatalf("%s ended as %s, %q: want %s\n%+v", name, s.Phase, s.Reason, want, s.Instances)
	}
	return s
}

func gone(t *testing.T, c *Controller) {
	t.Helper()
	until(t, "the workload is gone", func() bool {
		list, err := c.List()
		return err == nil && len(list) == 0
	})
}

// claimNames returns the names of all claims.
func claimNames(t *testing.T, c *Controller) []string {
	t.Helper()
	list, err := c.Claims()
	must(t, err)
	names := []string{}
	for _, claim := range list {
		names = append(names, claim.Name)
	}
	slices.Sort(names)
	return names
}

// A StatefulSet's pods keep their names and their claims through a rollout, a rollback, a
// replacement for drift, a restart of the daemon, a change of the scale and a deletion.
func TestAStatefulSetKeepsNamesAndClaims(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "set-one:1", "one", web.Good)
	loadVersion(t, e, "set-two:1", "two", web.Good)
	loadVersion(t, e, "set-bad:1", "bad", web.Crashes)
	c := openController(t, e)
	apply(t, c, statefulSet("set", "set-one:1", 2, ""))
	s := setEnded(t, c, "set", rollout.Complete)
	for n, i := range s.Instances { // in the order of their creation
		name := fmt.Sprintf("set-%d", n)
		p, err := e.Find(t.Context(), name)
		must(t, err)
		spec := p.Spec()
		if i.Name != name || p.Labels["statefulset.kubernetes.io/pod-name"] != name || p.Labels["apps.kubernetes.io/pod-index"] != fmt.Sprint(n) ||
			spec.Spec.Hostname != name || spec.Spec.Subdomain != "set" {
			t.Errorf("instance %d is %s with labels %v, host %s.%s", n, i.Name, p.Labels, spec.Spec.Hostname, spec.Spec.Subdomain)
		}
		write(t, e, name, "/data/file", name)
	}
	keeps := func(what string, ordinals ...int) {
		t.Helper()
		for _, n := range ordinals {
			name := fmt.Sprintf("set-%d", n)
			if got, err := os.ReadFile(filepath.Join(e.Claims().Path("default", "data-"+name), "file")); err != nil || string(got) != name {
				t.Errorf("%s: the claim of %s has %q, %v", what, name, got, err)
			}
		}
	}

	apply(t, c, statefulSet("set", "set-two:1", 2, ""))
	s = setEnded(t, c, "set", rollout.Complete)
	if s.Instances[0].Name != "set-1" || s.Updated != 2 {
		t.Errorf("the highest is replaced first: got %+v", s.Instances)
	}
	keeps("after a rollout", 0, 1)

	apply(t, c, statefulSet("set", "set-bad:1", 2, ""))
	s = setEnded(t, c, "set", rollout.RolledBack)
	if !strings.Contains(s.Reason, "crashed") || s.Updated != 2 {
		t.Errorf("got %+v", s)
	}
	keeps("after a rollback", 0, 1)

	// The name of a drifted instance must be free before its replacement exists.
	before, err := e.Find(t.Context(), "set-0")
	must(t, err)
	write(t, e, "set-0", "/etc/app.conf", "edited")
	until(t, "the edited instance is replaced", func() bool {
		p, err := e.Find(context.Background(), "set-0")
		return err == nil && p.UID != before.UID
	})
	setEnded(t, c, "set", rollout.RolledBack)
	keeps("after a replacement for drift", 0, 1)

	must(t, c.Close())
	c = openController(t, e)
	s = setEnded(t, c, "set", rollout.RolledBack)
	must(t, c.Scale(s.Key, 1, Author{}))
	setEnded(t, c, "set", rollout.RolledBack)
	must(t, c.Delete(s.Key, Author{}))
	gone(t, c)
	if d := cmp.Diff(claimNames(t, c), []string{"data-set-0", "data-set-1"}); d != "" {
		t.Errorf("claims (-got +want):\n%s", d)
	}
	apply(t, c, statefulSet("set", "set-two:1", 2, ""))
	setEnded(t, c, "set", rollout.Complete)
	keeps("after a deletion", 0, 1)

	// With another retention policy, which is no reason to replace the pods, the claims go
	// with their pods.
	out := apply(t, c, statefulSet("set", "set-two:1", 2, "  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}\n"))
	if r := out.Results[0]; r.Action != Adjusted {
		t.Errorf("got %+v", r)
	}
	must(t, c.Scale(s.Key, 1, Author{}))
	until(t, "the claim of the second pod is removed", func() bool { return cmp.Equal(claimNames(t, c), []string{"data-set-0"}) })
	keeps("after scaling", 0)
	must(t, c.Delete(s.Key, Author{}))
	gone(t, c)
	if got := claimNames(t, c); len(got) > 0 {
		t.Errorf("claims are left: %v", got)
	}
}

func TestStatefulSetsAreRefusedByField(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"a canary", `    a: b`, `    adamant.sh/strategy: Canary`, "spec.updateStrategy has its strategy, and its partition does what a canary does"},
		{"a long name", "name: set\n", "name: " + strings.Repeat("a", 62) + "\n", "is longer than 63 bytes, and cannot be its host name"},
		{"host ports", "containerPort: 8080", "hostPort: 8080, containerPort: 8080", "2 replicas cannot share one host port"},
		{"a block device", "accessModes: [ReadWriteOnce]", "volumeMode: Block, accessModes: [ReadWriteOnce]", "spec.volumeClaimTemplates[0].spec.volumeMode: not supported on one machine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.ReplaceAll(statefulSet("set", "a:1", 2, ""), tc.old, tc.new)
			f, err := manifest.Parse("set.yaml", []byte(text))
			must(t, err)
			if err := Validate(f); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
