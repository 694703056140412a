package manifest

import (
	"fmt"
	"strings"
	"testing"
)

// many returns a manifest of n Deployments with two containers each.
func many(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%d
  labels: {app: web}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: registry.example/web:1.2.3
        ports:
        - containerPort: 8080
        env:
        - name: MODE
          value: "production"
        resources:
          limits:
            cpu: 500m
            memory: 256Mi
        readinessProbe:
          httpGet:
            path: /ready
            port: 8080
      - name: log
        image: registry.example/log:1.2.3
        args: ["--follow", "/var/log"]
        volumeMounts:
        - name: logs
          mountPath: /var/log
      volumes:
      - name: logs
        emptyDir: {}
`, i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	data := many(1000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("x", data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	f, err := Parse("x", many(1000))
	if err != nil {
		b.Fatal(err)
	}
	var ops []Op
	for _, w := range f.Workloads() {
		more, err := Sealing(w, []ContainerPlan{{Container: "web", Mounts: []MountPlan{{MountPath: "/tmp"}}}}, SealOptions{})
		if err != nil {
			b.Fatal(err)
		}
		ops = append(ops, more...)
	}
	for b.Loop() {
		if _, err := f.Apply(ops...); err != nil {
			b.Fatal(err)
		}
	}
}
