//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/workload/cluster"
)

const objectsNamespace = "checked"

// checkedObjects are the objects of the test, by the path at which they are created.
var checkedObjects = []struct{ path, text string }{
	{"/api/v1/namespaces", "{apiVersion: v1, kind: Namespace, metadata: {name: checked}}"},
	{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`},
	{"/apis/apps/v1/namespaces/checked/deployments", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: none}
      containers: [{name: web, image: example.com/web}]
`},
	{"/api/v1/namespaces/checked/configmaps", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}"},
	{"/api/v1/namespaces/checked/secrets", "{apiVersion: v1, kind: Secret, metadata: {name: password}, stringData: {a: hunter2}}"},
	{"/apis/example.com/v1/namespaces/checked/gadgets", "{apiVersion: example.com/v1, kind: Gadget, metadata: {name: mine}, pods: [{spec: {containers: [{name: a, image: b}]}}]}"},
}

// TestObjects lists the objects of a namespace: each pod template once, and a pod only if it
// has other containers.
func TestObjects(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a := shared.cluster.api
	t.Cleanup(func() {
		a.call(context.Background(), http.MethodDelete, "/api/v1/namespaces/checked", nil) // the cluster ends with the tests
	})
	for _, o := range checkedObjects {
		body, err := yaml.YAMLToJSON([]byte(o.text))
		if err != nil {
			t.Fatal(err)
		}
		for { // a new kind is served a moment after its definition
			if _, err = a.call(ctx, http.MethodPost, o.path, body); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "404") {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	debugged := debug(ctx, t)
	c, err := cluster.Open(shared.cluster.Kubeconfig(), "test")
	if err != nil {
		t.Fatal(err)
	}
	got, failed := objectsOf(ctx, t, c)
	want := []string{
		"checked/configmaps/settings", "checked/deployments.apps/web", "checked/gadgets.example.com/mine",
		"checked/pods/" + debugged, "checked/secrets/password",
	}
	if diff := cmp.Diff(got, want); diff != "" || len(failed) > 0 {
		t.Errorf("-got +want\n%s%v", diff, failed)
	}
	if _, failed := objectsOf(ctx, t, asUser(t, "somebody")); !slices.Contains(failed, "deployments.apps") || !slices.Contains(failed, "secrets") {
		t.Errorf("without rights only these were not read: %v", failed)
	}
	c.Use("nowhere")
	var names []string
	if err := c.Objects(ctx, "", func(o cluster.Object) error { names = append(names, fmt.Sprint(o.Name, o.Err)); return nil }); err != nil || len(names) != 1 || !strings.Contains(names[0], "does it exist") {
		t.Errorf("of a namespace that does not exist: %v, %v", names, err)
	}
}

// objectsOf returns the names of the objects that were read, sorted, and of those that were
// not.
func objectsOf(ctx context.Context, t *testing.T, c *cluster.Cluster) (names, failed []string) {
	t.Helper()
	err := c.Objects(ctx, objectsNamespace, func(o cluster.Object) error {
		if o.Err != nil {
			failed = append(failed, o.Name)
			return nil
		}
		if strings.Contains(string(o.Data), "hunter2") || strings.Contains(string(o.Data), "aHVudGVyMg") {
			t.Errorf("%s has the value of the Secret:\n%s", o.Name, o.Data)
		}
		names = append(names, o.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names, failed
}

// debug adds an ephemeral container to one of the pods, and returns its name.
func debug(ctx context.Context, t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	for len(pods.Items) < 2 {
		if err := shared.cluster.api.get(ctx, "/api/v1/namespaces/checked/pods", &pods); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	pod := pods.Items[0]
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "example.com/shell"}}}
	body, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.cluster.api.call(ctx, http.MethodPut, "/api/v1/namespaces/checked/pods/"+pod.Name+"/ephemeralcontainers", body); err != nil {
		t.Fatal(err)
	}
	return pod.Name
}

// asUser returns the cluster for a user without any rights.
func asUser(t *testing.T, name string) *cluster.Cluster {
	t.Helper()
	data, err := os.ReadFile(shared.cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	config["users"].([]any)[0].(map[string]any)["user"].(map[string]any)["as"] = name
	if data, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Open(file, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
