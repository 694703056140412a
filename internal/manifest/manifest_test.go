package manifest

import (
	"testing"
)

const nginxPod = `apiVersion: v1
kind: Pod
metadata:
  name: nginx-pod
spec:
  containers:
  - name: nginx-container
    image: nginx:latest
    securityContext:
      readOnlyRootFilesystem: true
    volumeMounts:
    - name: cache-volume
      mountPath: /var/cache/nginx
    - name: runtime-volume
      mountPath: /var/run
  volumes:
  - name: cache-volume
    emptyDir: {}
  - name: runtime-volume
    emptyDir: {}
`

func TestWorkload(t *testing.T) {
	f, err := Parse("pod.yaml", []byte(nginxPod))
	if err != nil {
		t.Fatal(err)
	}
	list := f.Workloads()
	if len(list) != 1 {
		t.Fatalf("got %d workloads, want 1", len(list))
	}
	w := list[0]
	if got, want := w.String(), "Pod default/nginx-pod"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c := w.Template.Spec.Containers[0]
	if c.Image != "nginx:latest" || c.SecurityContext == nil || !*c.SecurityContext.ReadOnlyRootFilesystem || len(c.VolumeMounts) != 2 {
		t.Errorf("got %+v", c)
	}
	if w.Template.Spec.Volumes[1].EmptyDir == nil {
		t.Error("no emptyDir")
	}
	if got := w.Line("spec.containers[0].volumeMounts[1].mountPath"); got != 15 {
		t.Errorf("got line %d, want 15", got)
	}
	if got := w.Line("spec.containers[0].command"); got != 7 {
		t.Errorf("got line %d, want 7", got)
	}
}

func TestUnknownField(t *testing.T) {
	_, err := Parse("web.yaml", []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        securityContext:
          privileged: "true"
          readonlyRootFilesystem: true
        readOnlyRootFilesystem: true
`))
	want := `web.yaml:13:23: spec.template.spec.containers[0].securityContext.privileged: expected true or false, found the string "true" (write true without quotes)
web.yaml:14:11: spec.template.spec.containers[0].securityContext.readonlyRootFilesystem: unknown field (did you mean readOnlyRootFilesystem?)
web.yaml:15:9: spec.template.spec.containers[0].readOnlyRootFilesystem: unknown field (did you mean securityContext.readOnlyRootFilesystem?)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
