package manifest

import (
	"strings"
	"testing"
)

func TestInNamespace(t *testing.T) {
	const text = `apiVersion: v1
kind: Pod
metadata: &meta {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: web}]}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: ""
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: web, namespace: shop}}
- {apiVersion: v1, kind: Secret, metadata: {name: web}}
- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web}}
`
	f, err := Parse("web.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	in, err := f.InNamespace("shop")
	if err != nil {
		t.Fatal(err)
	}
	w := in.Workloads()[0]
	services, errs := in.Services()
	if errs != nil {
		t.Fatal(errs)
	}
	for what, got := range map[string]string{
		"workload": w.Namespace, "pod": w.Template.Namespace, "service": services[0].Namespace,
		"config map": in.ConfigMaps()[0].Namespace, "secret": in.Secrets()[0].Namespace, "other": in.Others()[1].Namespace,
	} {
		if got != "shop" {
			t.Errorf("the namespace of the %s is %q", what, got)
		}
	}
	if got := w.Line("spec.containers[0].image"); got != 4 {
		t.Errorf("the image is on line %d", got)
	}
	if got := f.Workloads()[0].Namespace; got != "default" {
		t.Errorf("the file itself has changed: %s", got)
	}
	_, err = f.InNamespace("store")
	if want := "web.yaml:16:"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "metadata.namespace: ConfigMap web is of namespace shop, and --namespace is store") {
		t.Errorf("got %v, want %s", err, want)
	}
}
