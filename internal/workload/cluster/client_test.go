package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// TestDiscovery asks a server that gets a new kind between two requests, as it
// does when a CustomResourceDefinition is applied.
func TestDiscovery(t *testing.T) {
	groups := map[string][]metav1.APIResource{
		"/api/v1": {
			{Name: "pods/exec", Kind: "PodExecOptions", Namespaced: true},
			{Name: "namespaces", Kind: "Namespace"},
			{Name: "pods", Kind: "Pod", Namespaced: true},
		},
		"/apis/apps/v1": {
			{Name: "deployments/scale", Kind: "Scale", Group: "autoscaling", Version: "v1", Namespaced: true},
			{Name: "deployments", Kind: "Deployment", Namespaced: true},
		},
	}
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		resources, ok := groups[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(metav1.APIResourceList{APIResources: resources}); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	c, err := connect(&rest.Config{Host: s.URL}, "default")
	if err != nil {
		t.Fatal(err)
	}
	widget := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	for _, test := range []struct {
		name         string
		kind         schema.GroupVersionKind
		want         string // empty if the server has no such kind
		isNamespaced bool
	}{
		{"of the core group", schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, "pods", true},
		{"without a namespace", schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, "namespaces", false},
		{"of another group", schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "deployments", true},
		{"of a subresource only", schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Scale"}, "", false},
		{"of no group", widget, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, isNamespaced, err := c.kinds.find(t.Context(), test.kind)
			if test.want == "" {
				if !meta.IsNoMatchError(err) {
					t.Errorf("got %v, %v: want no match", r, err)
				}
				return
			}
			if err != nil || r != test.kind.GroupVersion().WithResource(test.want) || isNamespaced != test.isNamespaced {
				t.Errorf("got %v, namespaced %t, %v", r, isNamespaced, err)
			}
		})
	}
	groups["/apis/example.com/v1"] = []metav1.APIResource{{Name: "widgets", Kind: "Widget", Namespaced: true}}
	if r, _, err := c.kinds.find(t.Context(), widget); err != nil || r.Resource != "widgets" {
		t.Errorf("after it was defined: got %v, %v", r, err)
	}
	before := asked
	if _, _, err := c.kinds.find(t.Context(), widget); err != nil || asked != before {
		t.Errorf("a known kind was asked for again, %v", err)
	}
}

// TestFetchStaysBelowThePod checks that the page of a gate, which is in a
// manifest, cannot lead to a path outside the pod.
func TestFetchStaysBelowThePod(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.RequestURI() }))
	defer s.Close()
	c, err := connect(&rest.Config{Host: s.URL}, "default")
	if err != nil {
		t.Fatal(err)
	}
	pod := gatePod{c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1"}}}
	const proxy = "/api/v1/namespaces/default/pods/web-1:80/proxy"
	for page, want := range map[string]string{
		"/healthz?full=1":               proxy + "/healthz?full=1",
		"healthz":                       proxy + "/healthz",
		"/../../../kube-system/secrets": proxy + "/kube-system/secrets",
		"../../db-1/proxy/":             proxy + "/db-1/proxy",
		"/%2e%2e/%2e%2e/secrets":        proxy + "/secrets",
	} {
		if _, err := pod.Fetch(t.Context(), 80, page); err != nil || got != want {
			t.Errorf("%s: asked for %s, %v; want %s", page, got, err, want)
		}
	}
}
