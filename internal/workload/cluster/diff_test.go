package cluster

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// TestDiff compares a manifest with the objects of a server that merges an apply with
// what it has, as far as these objects need it. Each write must be a dry run.
func TestDiff(t *testing.T) {
	stored := map[string]map[string]any{}
	put := func(path, text string) {
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		stored[path] = v
	}
	put("/apis/apps/v1/namespaces/shop/deployments/web", `{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "7", "managedFields": [{"manager": "adamant"}],
			"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}},
		"spec": {"replicas": 2, "template": {"spec": {"containers": [
			{"name": "proxy", "image": "proxy:1"}, {"name": "web", "image": "web:1", "env": [{"name": "KEY", "value": "hunter2"}, {"name": "GONE", "value": "hunter2"}]}]}}},
		"status": {"replicas": 2}}`)
	put("/api/v1/namespaces/shop/services/web", `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"type": "ClusterIP"}}`)
	put("/api/v1/namespaces/shop/secrets/web", `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "namespace": "shop"}, "data": {"password": "aHVudGVyMg=="}}`)
	resources := map[string][]metav1.APIResource{
		"/api/v1":       {{Name: "services", Kind: "Service", Namespaced: true}, {Name: "secrets", Kind: "Secret", Namespaced: true}, {Name: "namespaces", Kind: "Namespace"}},
		"/apis/apps/v1": {{Name: "deployments", Kind: "Deployment", Namespaced: true}},
	}
	conflict := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := func(status int, v any) {
			w.WriteHeader(status)
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		}
		if list, ok := resources[r.URL.Path]; ok {
			answer(http.StatusOK, metav1.APIResourceList{APIResources: list})
			return
		}
		if strings.Contains(r.URL.Path, "/namespaces/new/") || r.Method == http.MethodGet && stored[r.URL.Path] == nil {
			answer(http.StatusNotFound, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404})
			return
		}
		if r.Method == http.MethodGet {
			answer(http.StatusOK, stored[r.URL.Path])
			return
		}
		if r.Method != http.MethodPatch || r.URL.Query().Get("dryRun") != "All" {
			t.Errorf("%s %s changes something", r.Method, r.URL)
		}
		if conflict {
			answer(http.StatusConflict, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonConflict, Code: 409, Details: &metav1.StatusDetails{
				Causes: []metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "kubectl-edit"`, Field: ".spec.replicas"}}}})
			return
		}
		body, err := io.ReadAll(r.Body)
		var patch map[string]any
		if err = errors.Join(err, json.Unmarshal(body, &patch)); err != nil {
			t.Error(err)
		}
		result := map[string]any{}
		for k, v := range stored[r.URL.Path] {
			result[k] = v
		}
		for _, k := range []string{"apiVersion", "kind", "spec", "data"} {
			if patch[k] != nil {
				result[k] = patch[k]
			}
		}
		if result["metadata"] == nil {
			result["metadata"] = patch["metadata"]
		}
		answer(http.StatusOK, result)
	}))
	defer s.Close()
	c, err := connect(&rest.Config{Host: s.URL}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	if err := json.Unmarshal([]byte(`[
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3, "template": {"spec": {"containers": [
			{"name": "web", "image": "web:2", "env": [{"name": "KEY", "value": "hunter3"}]}, {"name": "proxy", "image": "proxy:1"}]}}}},
		{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "ClusterIP"}},
		{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "data": {"password": "aHVudGVyMw=="}},
		{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "admin"}, "spec": {}},
		{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "new"}, "spec": {}},
		{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "web"}}
	]`), &objects); err != nil {
		t.Fatal(err)
	}
	got, err := c.Diff(t.Context(), objects, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{Kind: "Deployment", Namespace: "shop", Name: "web", Action: DiffChanged, Changes: []string{
			"spec.replicas: 2 -> 3",
			"spec.template.spec.containers[web].env[GONE]: (…) -> none",
			"spec.template.spec.containers[web].env[KEY].value: (hidden) -> (hidden)",
			`spec.template.spec.containers[web].image: "web:1" -> "web:2"`,
		}},
		{Kind: "Service", Namespace: "shop", Name: "web", Action: DiffUnchanged},
		{Kind: "Secret", Namespace: "shop", Name: "web", Action: DiffChanged, Changes: []string{"data.password: (hidden) -> (hidden)"}},
		{Kind: "Service", Namespace: "shop", Name: "admin", Action: DiffCreated},
		{Kind: "Service", Namespace: "new", Name: "web", Action: DiffCreated, Note: "its namespace does not exist yet"},
		{Kind: "Widget", Name: "web", Action: DiffCreated, Note: "the server does not know its kind yet"},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	conflict = true
	var other *ConflictError
	if _, err := c.Diff(t.Context(), objects[:1], Options{}); !errors.As(err, &other) {
		t.Errorf("a conflict: got %v", err)
	}
}

func TestChangesOfLists(t *testing.T) {
	named := func(names ...string) []any {
		var list []any
		for _, n := range names {
			list = append(list, map[string]any{"name": n})
		}
		return list
	}
	for name, c := range map[string]struct {
		a, b any
		want []string
	}{
		"order":          {named("a", "b"), named("b", "a"), []string{"x: another order"}},
		"one more":       {named("a"), named("a", "b"), []string{`x[b]: none -> {"name":"b"}`}},
		"twice one name": {named("a", "a"), named("a"), []string{`x: [{"name":"a"},{"name":"a"}] -> [{"name":"a"}]`}},
		"of text":        {[]any{"a"}, []any{"b"}, []string{`x: ["a"] -> ["b"]`}},
		"none":           {nil, named("a"), []string{`x: none -> [{"name":"a"}]`}},
	} {
		var got []string
		walkChanges("x", c.a, c.b, false, &got)
		if diff := cmp.Diff(got, c.want); diff != "" {
			t.Errorf("%s: -got +want\n%s", name, diff)
		}
	}
}
