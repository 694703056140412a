package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/adamant-sh/adamant/bench/docker"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/web"
)

// versions are the versions of the web server.
var versions = []string{"a", "b"}

// prepare builds the programs and the images below dir, each image as an
// archive and as a directory, and unpacks dockerd.
func prepare(ctx context.Context, dir string) error {
	for name, pkg := range map[string]string{"adamant": "cmd/adamant", "pause/pause": "bench/drift/pause"} {
		err := command(ctx, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w",
			"-o", filepath.Join(dir, name), "github.com/adamant-sh/adamant/"+pkg)
		if err != nil {
			return err
		}
	}
	if err := appimage.Pack(filepath.Join(dir, "pause.tar"), filepath.Join(dir, "pause"), appimage.App{Name: "pause", Cmd: []string{"/pause"}}); err != nil {
		return err
	}
	maker := web.NewMaker(dir)
	for _, v := range versions {
		archive, err := maker.Pack(ctx, "web-"+v, v, web.Good)
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Dir(archive), filepath.Join(dir, "web-"+v)); err != nil {
			return err
		}
	}
	if whyNoCompose() != "" {
		return nil
	}
	dockerd, err := docker.Find(ctx, dir)
	if err != nil {
		return err
	}
	return os.Symlink(dockerd, filepath.Join(dir, "dockerd"))
}

func archive(dir, version string) string { return filepath.Join(dir, "web-"+version, "image.tar") }

func rootOf(dir, version string) string { return filepath.Join(dir, "web-"+version, "root") }

// manifest returns the Deployment that all ways use.
func manifest(version string, replicas, period int) []byte {
	return fmt.Appendf(nil, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%%, maxUnavailable: 25%%}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      automountServiceAccountToken: false
      containers:
      - name: web
        image: %s
        imagePullPolicy: Never
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: %d}
`, replicas, appimage.Reference("web-"+version), period)
}

// service is the Service before it. Only Adamant uses it, because the cluster
// has no program that would carry traffic.
const service = `---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 8000, targetPort: http, name: http}]
`
