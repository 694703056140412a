package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// objectsOf reads the documents of a manifest.
func objectsOf(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, document := range strings.Split(text, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	return objects
}

const configured = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: COLOR}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {key: abc}
---
apiVersion: v1
kind: Secret
metadata: {name: shared, namespace: default}
stringData: {key: def}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: other}
data: {color: white}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      imagePullSecrets: [{name: key}]
      containers:
      - name: main
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: elsewhere}}]
        env: [{name: KEY, valueFrom: {secretKeyRef: {name: key, key: key}}}]
      volumes:
      - {name: a, configMap: {name: settings}}
      - {name: b, secret: {secretName: shared}}
      - {name: c, projected: {sources: [{secret: {name: key}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {template: {spec: {volumes: [{name: b, secret: {secretName: shared}}]}}}`

// TestPinConfiguration checks which objects are applied, and that the Deployment, and
// nothing else, refers to copies.
func TestPinConfiguration(t *testing.T) {
	applied, uses := pinConfiguration(objectsOf(t, strings.Replace(configured, "COLOR", "red", 1)), "default")
	var got []string
	var deployment *unstructured.Unstructured
	for _, o := range applied {
		got = append(got, o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName())
		if isDeployment(o) {
			deployment = o
		}
	}
	want := []string{"Secret default/shared", "ConfigMap other/settings", "Deployment /web", "StatefulSet /db"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("applied objects (-want +got):\n%s", d)
	}
	names := map[string]string{"elsewhere": "elsewhere"}
	for _, o := range uses[deployment] {
		if o.Object["immutable"] != true {
			t.Errorf("%s is not immutable", o.GetName())
		}
		names[o.GetAnnotations()[configAnnotation]] = o.GetName()
	}
	if len(names) != 4 {
		t.Errorf("the copies are %v", names)
	}
	refers := map[string]bool{}
	eachReference(deployment.Object, func(_, name string) string {
		refers[name] = true
		return name
	})
	for original, name := range names {
		if !refers[name] || name != original && !strings.HasPrefix(name, original+"-") {
			t.Errorf("%s has the copy %s; the Deployment refers to %v", original, name, refers)
		}
	}
	if len(refers) != 4 {
		t.Errorf("the Deployment refers to %v", refers)
	}
}

// TestPinnedName checks that the name of a copy follows from the content alone.
func TestPinnedName(t *testing.T) {
	name := func(color string) string {
		return pinnedCopy(objectsOf(t, strings.Replace(configured, "COLOR", color, 1))[0]).GetName()
	}
	red, again, blue := name("red"), name("red"), name("blue")
	if red != again || red == blue {
		t.Errorf("red is %s and %s, blue is %s", red, again, blue)
	}
}
