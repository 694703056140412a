//go:build cluster

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/policy/admission"
)

const policyNamespace = "policies"

// policies returns the policies of all rules as text.
func policies(t *testing.T, opts admission.Options) []byte {
	t.Helper()
	opts.Rules = policy.Rules()
	var b bytes.Buffer
	if err := admission.Write(&b, admission.Limits(opts.Rules), admission.Policies(opts)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPoliciesAreCheck sends the manifests of the rules' own tests, and others, to the API
// server with a policy for each rule that only warns, and compares the warnings with the
// findings of check, for each container.
func TestPoliciesAreCheck(t *testing.T) {
	ctx := t.Context()
	debugged := preparePolicyNamespace(t)
	selector, err := admission.ParseSelector("kubernetes.io/metadata.name=" + policyNamespace)
	if err != nil {
		t.Fatal(err)
	}
	opts := admission.Options{Actions: []admission.Action{admission.Warn}, FailOn: policy.Low, Namespaces: selector}
	applied, err := shared.cluster.ApplyPolicies(ctx, policies(t, opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.cluster.DeletePolicies(context.WithoutCancel(ctx), applied); err != nil {
			t.Error(err)
		}
	})
	inForce(t, shared.cluster.api, policyNamespace)
	typeChecked(t, applied)
	compareVerdicts(t)

	t.Run("debug", func(t *testing.T) { debugPod(t, debugged) })
	t.Run("large", largePod)

	opts.Actions = []admission.Action{admission.Deny}
	if _, err := shared.cluster.ApplyPolicies(ctx, policies(t, opts)); err != nil {
		t.Fatal(err)
	}
	t.Run("deny", func(t *testing.T) {
		becomesDenied(t)
		refusesOne(t, shared.cluster.api, policyNamespace, "root-not-read-only.adamant.sh")
	})
}

// TestStaticPolicies starts an API server with policies from files, without any API object
// and with an empty store: it must become ready, and refuse in all namespaces from then on.
func TestStaticPolicies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	files, err := admission.StaticFiles(dir, admission.Options{Rules: policy.Rules(), Actions: []admission.Action{admission.Deny}, FailOn: policy.Low, Static: true, Sealed: []admission.Sealed{staticSealed()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server, process, err := shared.cluster.startStatic(ctx, filepath.Join(dir, "admission.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer process.stop()
	refusesOne(t, server, "default", "root-not-read-only.adamant.static.k8s.io")
	sealsOne(t, server)
	if _, err := server.call(ctx, http.MethodDelete, admissionPath+"validatingadmissionpolicies/root-not-read-only.adamant.static.k8s.io", nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("the API knows the policy: %v", err)
	}
}

// staticSealed has a volume at /run.
func staticSealed() admission.Sealed {
	_, digest, _ := strings.Cut(pinned, "@")
	return admission.Sealed{Digests: []string{digest}, Container: "a", Pod: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "a", VolumeMounts: []corev1.VolumeMount{{Name: "run", MountPath: "/run"}}}},
		Volumes:    []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}}
}

// sealsOne checks that a server seals a pod, so that the policies admit it. The volume has no
// limit, to which one of them objects.
func sealsOne(t *testing.T, server *api) {
	const namespace = "/api/v1/namespaces/default/"
	if _, err := server.call(t.Context(), http.MethodPost, namespace+"serviceaccounts", []byte(`{"metadata": {"name": "default"}}`)); err != nil {
		t.Fatal(err)
	}
	body := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"automountServiceAccountToken": false, "containers": [
		{"name": "a", "image": "` + pinned + `", "securityContext": {"allowPrivilegeEscalation": false}}]}}`
	windows := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"automountServiceAccountToken": false, "os": {"name": "windows"}, "containers": [
		{"name": "a", "image": "` + pinned + `"}]}}`
	if data, err := server.call(t.Context(), http.MethodPost, namespace+"pods?dryRun=All", []byte(windows)); err != nil || strings.Contains(string(data), "adamant-") {
		t.Errorf("a pod of Windows: got %v, %s", err, data)
	}
	_, err := server.call(t.Context(), http.MethodPost, namespace+"pods?dryRun=All", []byte(body))
	if err == nil || !strings.Contains(err.Error(), "unbounded-volume") || !strings.Contains(err.Error(), "volume adamant-") || strings.Contains(err.Error(), "root-not-read-only") {
		t.Errorf("got %v, want a refusal of the added volume only", err)
	}
}

// becomesDenied waits until the API server has read a binding that denies.
func becomesDenied(t *testing.T) {
	bad := goodDeployment(t)
	container(bad)["securityContext"] = map[string]any{"allowPrivilegeEscalation": false}
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(100 * time.Millisecond) {
		if _, err := shared.cluster.api.Try(t.Context(), policyNamespace, bad); err != nil {
			return
		}
	}
}

// refusesOne checks that a server refuses a Deployment because of a policy, and admits it
// otherwise.
func refusesOne(t *testing.T, server *api, namespace, policy string) {
	good, bad := goodDeployment(t), goodDeployment(t)
	container(bad)["securityContext"] = map[string]any{"allowPrivilegeEscalation": false}
	if warnings, err := server.Try(t.Context(), namespace, good); err != nil || len(warnings) > 0 {
		t.Errorf("the good one: %v, %q", err, warnings)
	}
	_, err := server.Try(t.Context(), namespace, bad)
	want := "container a: the root file system of a container can be written; set securityContext.readOnlyRootFilesystem: true"
	if err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), policy) || !strings.Contains(err.Error(), want) {
		t.Errorf("the bad one: got %v, want a refusal by %s: %s", err, policy, want)
	}
}

func goodDeployment(t *testing.T) map[string]any {
	object, err := toMap([]byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: good}
spec:
  template:
    spec:
      automountServiceAccountToken: false
      containers: [{name: a, securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	complete(object)
	return object
}

// container returns the first container of a Deployment.
func container(deployment map[string]any) map[string]any {
	containers, _ := specOf(deployment)["containers"].([]any)
	c, _ := containers[0].(map[string]any)
	return c
}

// preparePolicyNamespace creates the namespace, and a pod in it that is never scheduled. It
// returns the pod's path.
func preparePolicyNamespace(t *testing.T) (pod string) {
	ns, err := shared.cluster.Enforce(t.Context(), policyNamespace, "privileged")
	if err != nil {
		t.Fatal(err)
	}
	err = ns.Create(t.Context(), []byte(`
apiVersion: v1
kind: Pod
metadata: {name: debugged}
spec:
  schedulingGates: [{name: example.com/never}]
  containers: [{name: old, image: old}]
`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := shared.cluster.api.call(context.WithoutCancel(t.Context()), http.MethodDelete, "/api/v1/namespaces/"+policyNamespace, nil); err != nil {
			t.Error(err)
		}
	})
	return ns.path + "pods/debugged"
}

// inForce waits until each rule that has a policy warns about something.
func inForce(t *testing.T, server *api, namespace string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	missing := map[string]bool{}
	for _, r := range admission.Written(policy.Rules()) {
		missing[r.ID] = true
	}
	for len(missing) > 0 {
		for _, m := range append(ruleManifests(t), otherManifests(t)...) {
			complete(m.object)
			warnings, _ := server.Try(ctx, namespace, m.object) // some are refused anyway
			for _, w := range warnings {
				if match := policyWarning.FindStringSubmatch(w); match != nil {
					delete(missing, match[1])
				}
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("these policies are not in force: %v", missing)
		}
	}
}

// typeChecked checks that the API server finds nothing wrong with the types of policies.
func typeChecked(t *testing.T, applied []admissionObject) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, o := range applied {
		if o.Kind != "ValidatingAdmissionPolicy" {
			continue
		}
		for {
			var now admissionObject
			now.Kind = o.Kind
			if err := shared.cluster.api.get(ctx, o.path(), &now); err != nil {
				t.Fatalf("%s is not type checked: %v", o.Metadata.Name, err)
			}
			if now.Status.ObservedGeneration >= now.Metadata.Generation {
				for _, w := range now.Status.TypeChecking.ExpressionWarnings {
					t.Errorf("%s: %s: %s", o.Metadata.Name, w.FieldRef, w.Warning)
				}
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// compareVerdicts compares the warnings about each manifest with the findings of check.
func compareVerdicts(t *testing.T) {
	compared, used := 0, map[string]bool{}
	for _, m := range slices.Concat(ruleManifests(t), otherManifests(t), randomManifests(t, 300)) {
		want := findingsOf(t, m)
		complete(m.object)
		warnings, err := shared.cluster.api.Try(t.Context(), policyNamespace, m.object)
		if err != nil {
			reason, known := refusedAnyway[m.name]
			used[m.name] = true
			if !known || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: the API server refuses it: %v", m.name, err)
			}
			continue
		}
		compared++
		got := verdictsOf(t, m.name, warnings)
		for _, v := range union(got, want) {
			if slices.Contains(got, v) == slices.Contains(want, v) {
				continue
			}
			key := m.name + ": " + v
			used[key] = true
			if differs[key] == "" {
				t.Errorf("%s: the policy finds it: %v, check finds it: %v", key, slices.Contains(got, v), slices.Contains(want, v))
			}
		}
	}
	for key := range differs {
		if !used[key] {
			t.Errorf("no difference: %s", key)
		}
	}
	for key := range refusedAnyway {
		if !used[key] {
			t.Errorf("not refused by the API server: %s", key)
		}
	}
	t.Logf("%d manifests compared, %d refused by the API server itself", compared, len(refusedAnyway))
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// A policyManifest is one object of a file.
type policyManifest struct {
	name   string // file#document, or file#document/item
	rule   string // that the file is for
	text   []byte // of the document
	item   string // name of the item of a list
	object map[string]any
}

// ruleManifests returns the manifests of the tests of internal/policy.
func ruleManifests(t *testing.T) []policyManifest {
	return readManifests(t, "../../internal/policy/testdata/rules/*.yaml")
}

// otherManifests returns the examples, and manifests that the tests of rules do not have.
func otherManifests(t *testing.T) []policyManifest {
	return append(readManifests(t, "testdata/policies/*.yaml"), readManifests(t, "../../examples/*.yaml")...)
}

func readManifests(t *testing.T, pattern string) []policyManifest {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("found no manifests: %v", err)
	}
	var all []policyManifest
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rule := strings.TrimSuffix(filepath.Base(file), ".yaml")
		for i, text := range regexp.MustCompile(`(?m)^---.*\n`).Split(string(data), -1) {
			object, err := toMap([]byte(text))
			if err != nil {
				t.Fatalf("%s: document %d: %v", file, i, err)
			}
			if object == nil {
				continue
			}
			m := policyManifest{name: fmt.Sprintf("%s#%d", rule, i), rule: rule, text: []byte(text), object: object}
			all = append(all, m.items()...)
		}
	}
	return all
}

// items returns the items of a list, or the manifest itself.
func (m policyManifest) items() []policyManifest {
	kind, _ := m.object["kind"].(string)
	list, isList := strings.CutSuffix(kind, "List")
	if !isList {
		return []policyManifest{m}
	}
	var all []policyManifest
	items, _ := m.object["items"].([]any)
	for _, item := range items {
		one := m
		one.object, _ = item.(map[string]any)
		if list != "" {
			one.object["apiVersion"], one.object["kind"] = m.object["apiVersion"], list
		}
		meta, _ := one.object["metadata"].(map[string]any)
		one.item, _ = meta["name"].(string)
		one.name += "/" + one.item
		all = append(all, one)
	}
	return all
}

func toMap(text []byte) (map[string]any, error) {
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	return object, json.Unmarshal(data, &object)
}

// findingsOf returns what check finds: rules, with the containers.
func findingsOf(t *testing.T, m policyManifest) []string {
	var all []string
	for _, d := range manifest.ReadDocuments(m.name, 1, m.text) {
		if len(d.NotUnderstood) > 0 {
			t.Errorf("%s: not understood: %v", m.name, d.NotUnderstood)
		}
		for _, f := range policy.Check(policy.Rules(), &d).Findings {
			if m.item != "" && f.Object.Name != m.item {
				continue
			}
			v := f.Rule
			if f.Container != "" {
				v += ": container " + strings.NewReplacer("[", "-", "]", "").Replace(f.Container)
			}
			all = append(all, v)
		}
	}
	return union(all, nil)
}

var policyWarning = regexp.MustCompile(`^Validation failed for ValidatingAdmissionPolicy '([a-z-]+)\.adamant\.sh' with binding '[^']+': (.*)$`)

// verdictsOf returns what policies found, in the form of findingsOf. Texts of warnings are cut
// by the API server if there are many.
func verdictsOf(t *testing.T, name string, warnings []string) []string {
	var all []string
	for _, w := range warnings {
		m := policyWarning.FindStringSubmatch(w)
		if m == nil {
			if strings.Contains(w, "AdmissionPolicy") {
				t.Errorf("%s: %s", name, w)
			}
			continue
		}
		subjects, _, found := strings.Cut(m[2], ": ")
		if !found {
			t.Errorf("%s: no text after what is wrong: %s", name, w)
		}
		for subject := range strings.SplitSeq(subjects, ", ") {
			if strings.HasPrefix(subject, "container ") {
				all = append(all, m[1]+": "+subject)
			} else {
				all = append(all, m[1])
			}
		}
	}
	return union(all, nil)
}

// debugPod adds a container to a pod that was there before the policies: only the new one is
// judged. What changes nothing in the pod passes.
func debugPod(t *testing.T, path string) {
	for name, tt := range map[string]struct {
		path, patch string
		want        []string
	}{
		"bad": {"/ephemeralcontainers", `{"spec": {"ephemeralContainers": [{"name": "debugger", "image": "busybox", "securityContext": {"privileged": true}}]}}`,
			[]string{"image-not-pinned: container debugger", "privilege-escalation: container debugger", "privileged: container debugger", "root-not-read-only: container debugger"}},
		"good":    {"/ephemeralcontainers", `{"spec": {"ephemeralContainers": [{"name": "debugger", "image": "` + pinned + `", "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false}}]}}`, nil},
		"a label": {"", `{"metadata": {"labels": {"a": "b"}}}`, nil},
		"an image": {"", `{"spec": {"containers": [{"name": "old", "image": "new"}]}}`,
			[]string{"automount-token", "image-not-pinned: container old", "privilege-escalation: container old", "root-not-read-only: container old"}},
	} {
		_, warnings, err := shared.cluster.api.send(t.Context(), http.MethodPatch, path+tt.path+"?dryRun=All", "application/strategic-merge-patch+json", []byte(tt.patch))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := verdictsOf(t, name, warnings); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// largePod checks that the cost of the policies stays within the API server's limits for a
// pod that is larger than usual ones: the server refuses a pod if an expression exceeds them.
func largePod(t *testing.T) {
	deployment := goodDeployment(t)
	pod := specOf(deployment)
	var containers, volumes []any
	for i := range 50 {
		c := map[string]any{"name": fmt.Sprintf("c%d", i), "image": pinned, "command": []any{"/usr/local/tomcat/bin/catalina.sh"}, "securityContext": container(deployment)["securityContext"]}
		var mounts []any
		for j := range 20 {
			mounts = append(mounts, map[string]any{"name": fmt.Sprintf("v%d", j), "mountPath": fmt.Sprintf("/var/lib/application/data/%d/files", j)})
		}
		c["volumeMounts"] = mounts
		containers = append(containers, c)
	}
	for i := range 20 {
		volumes = append(volumes, map[string]any{"name": fmt.Sprintf("v%d", i), "emptyDir": map[string]any{"sizeLimit": "1Gi"}})
	}
	pod["containers"], pod["volumes"] = containers, volumes
	start := time.Now()
	warnings, err := shared.cluster.api.Try(t.Context(), policyNamespace, deployment)
	if err != nil || len(warnings) > 0 {
		t.Errorf("%v, %q", err, warnings)
	}
	t.Logf("50 containers with 20 mounts each: %s", time.Since(start).Round(time.Millisecond))
}
