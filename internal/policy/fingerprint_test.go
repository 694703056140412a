package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fingerprints returns the fingerprints of all findings, sorted, and what each is about.
func fingerprints(t *testing.T, file, text string) (list []string, about map[string]string) {
	t.Helper()
	about = map[string]string{}
	for _, d := range read(t, file, text) {
		for _, f := range Check(Rules(), &d).Findings {
			list = append(list, f.Fingerprint())
			about[f.Fingerprint()] = fmt.Sprintf("%s %s %s %s %s", f.Rule, f.Object.Name, f.Container, f.Path, f.Message)
		}
	}
	slices.Sort(list)
	return list, about
}

// writeObjects returns a manifest whose objects, pods, containers, volumes, mounts,
// capabilities and rules are in a random order, with comments between them.
func writeObjects(r *rand.Rand) string {
	shuffled := func(items ...string) string {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		return strings.Join(items, ", ")
	}
	pod := func() string {
		container := func(name string) string {
			return fmt.Sprintf("{name: %s, image: i, securityContext: {capabilities: {add: [%s]}}, volumeMounts: [%s]}", name,
				shuffled("SYS_ADMIN", "CAP_BPF"), shuffled("{name: a, mountPath: /opt/a}", "{name: b, mountPath: /opt/b}", "{name: node, mountPath: /n}", "{name: node, mountPath: /m}"))
		}
		return fmt.Sprintf("{hostPID: true, volumes: [%s], containers: [%s], initContainers: [%s]}",
			shuffled("{name: a, emptyDir: {}}", "{name: b, emptyDir: {sizeLimit: 0}}", "{name: node, hostPath: {path: /run}}", "{name: i, image: {reference: x}}"),
			shuffled(container("web"), container("log"), container("\"0\"")), shuffled(container("setup")))
	}
	object := func(apiVersion, kind, name, rest string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s}\n%s\n", apiVersion, kind, name, rest)
	}
	objects := []string{
		object("apps/v1", "Deployment", "web", "spec: {template: {spec: "+pod()+"}}"),
		object("apps/v1", "Deployment", "api", "spec: {template: {spec: "+pod()+"}}"),
		object("example.com/v1", "Steps", "build", "spec: {steps: ["+shuffled("{name: one, spec: "+pod()+"}", "{metadata: {name: two}, spec: "+pod()+"}")+"]}"),
		object("v1", "ConfigMap", "web", ""),
		object("rbac.authorization.k8s.io/v1", "Role", "r", "rules: ["+shuffled("{apiGroups: [''], resources: [pods/exec], verbs: ['*']}", "{apiGroups: [''], resources: [pods/attach], verbs: ['*']}")+"]"),
	}
	r.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
	return strings.Join(objects, "---\n"+strings.Repeat("# a comment\n", r.IntN(50)))
}

// The fingerprints of findings do not depend on the order of anything that has a name, on
// lines above, or on the file. No two of them are the same.
func TestFingerprintIsStable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	want, about := fingerprints(t, "a.yaml", writeObjects(r))
	if len(want) < 100 || len(about) != len(want) {
		t.Fatalf("%d findings have %d fingerprints", len(want), len(about))
	}
	for i := range 50 {
		got, now := fingerprints(t, fmt.Sprintf("%d.yaml", i), writeObjects(r))
		if d := cmp.Diff(got, want); d != "" {
			for f := range now {
				if _, ok := about[f]; !ok {
					t.Errorf("new: %s", now[f])
				}
			}
			t.Fatalf("(-got +want):\n%s", d)
		}
	}
}

// What makes a finding another one changes its fingerprint; what does not, leaves it.
func TestFingerprintDiffers(t *testing.T) {
	const base = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{name: c, image: "i:1", volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, hostPath: {path: /a}}]}}}
`
	first := func(file, text, rule string) string {
		t.Helper()
		for _, d := range read(t, file, text) {
			for _, f := range Check(Rules(), &d).Findings {
				if f.Rule == rule {
					return f.Fingerprint()
				}
			}
		}
		t.Fatalf("no finding of %s", rule)
		return ""
	}
	for name, tt := range map[string]struct {
		rule, old, new string
		same           bool
	}{
		"another version":   {"root-not-read-only", "apps/v1", "apps/v1beta1", true},
		"another image":     {"image-not-pinned", "i:1", "j:2", true},
		"another group":     {"root-not-read-only", "apps/v1", "example.com/v1", false},
		"another kind":      {"root-not-read-only", "Deployment", "DaemonSet", false},
		"another namespace": {"root-not-read-only", "shop", "bank", false},
		"another name":      {"root-not-read-only", "web", "api", false},
		"another container": {"root-not-read-only", "name: c", "name: d", false},
		"another list":      {"root-not-read-only", "containers:", "initContainers:", false},
		"another host path": {"host-path-writable", "path: /a", "path: /b", false},
		"another mount":     {"host-path-writable", "mountPath: /v", "mountPath: /w", false},
		"no name":           {"root-not-read-only", "name: web, ", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := first("a.yaml", base, tt.rule), first("b.yaml", strings.Replace(base, tt.old, tt.new, 1), tt.rule)
			if a == b != tt.same {
				t.Errorf("%s and %s", a, b)
			}
		})
	}
	unnamed := strings.Replace(base, "name: web, ", "", 1)
	if a, b := first("a.yaml", unnamed, "root-not-read-only"), first("b.yaml", unnamed, "root-not-read-only"); a == b {
		t.Error("objects without a name in two files have the same fingerprint")
	}
	// It is in files that people keep.
	if got, want := first("a.yaml", base, "root-not-read-only"), "1:3519c8a512055849d8af2ed5cb388743"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
