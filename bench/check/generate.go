package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// inputs are the names of what is checked.
type inputs struct{ file, folder, single, stream string }

// deployment has what is usual in Deployments of charts, and finds all programs something.
const deployment = `apiVersion: apps/v1
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
`

// generate writes the inputs. It holds none of them, see program.run.
func generate(dir string, objects, streamed int) (inputs, error) {
	in := inputs{dir + "/one.yaml", dir + "/files", dir + "/single.yaml", dir + "/stream.yaml"}
	err := errors.Join(write(in.file, 0, objects), write(in.single, 0, 1), write(in.stream, 0, streamed), os.Mkdir(in.folder, 0o755))
	for i := 0; i < objects && err == nil; i++ {
		err = write(filepath.Join(in.folder, fmt.Sprintf("%d.yaml", i)), i, 1)
	}
	return in, err
}

// write writes a file of n Deployments.
func write(name string, first, n int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for i := first; i < first+n; i++ {
		if i > first {
			io.WriteString(w, "---\n") // the error is that of Flush
		}
		fmt.Fprintf(w, deployment, i)
	}
	return w.Flush()
}
