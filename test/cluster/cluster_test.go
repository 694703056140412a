//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/test/appimage"
)

// shared has the node that all tests of this package use, and the archives of
// its images.
var shared struct {
	dir      string
	cluster  *Cluster
	archives []string
}

func TestMain(m *testing.M) {
	// The engine under test uses its own program as runc.
	if runc, ok := containerd.Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if file := os.Getenv(killedManifest); file != "" {
		return applyAlone(os.Getenv("KUBECONFIG"), file)
	}
	if os.Getppid() != 1 || os.Getenv("ADAMANT_CLUSTER_BIN") == "" {
		fmt.Fprintln(os.Stderr, "run these tests with make test-cluster")
		return 1
	}
	var err error
	if shared.dir, err = os.MkdirTemp("", "cluster-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(shared.dir)
	if shared.archives, err = BuildImages(ctx, shared.dir); err != nil {
		fmt.Fprintln(os.Stderr, "build images:", err)
		return 1
	}
	shared.cluster, err = Start(ctx, shared.dir, Options{
		Programs:   os.Getenv("ADAMANT_CLUSTER_BIN"),
		Containerd: os.Getenv("ADAMANT_CLUSTER_CONTAINERD"),
		Images:     shared.archives,
		Pause:      appimage.Reference("inspector"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the cluster:", err)
		return 1
	}
	code := m.Run()
	if err := shared.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the cluster:", err)
		code = 1
	}
	return code
}

// demo is the pod of the demo with the inspector in place of nginx.
var demo = strings.NewReplacer(
	"image: nginx:latest", "image: adamant.test/inspector:1\n    imagePullPolicy: Never\n"+
		"    command: [/inspector, report, /var/cache/nginx, /var/run, /etc]",
	"spec:\n", "spec:\n  restartPolicy: Never\n  automountServiceAccountToken: false\n",
)

// manifests returns the manifests of the test, by the name of their pod.
func manifests(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no manifests: %v", err)
	}
	pod, err := os.ReadFile("../../examples/nginx-pod.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"nginx-pod": []byte(demo.Replace(string(pod)))}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".yaml")] = data
	}
	return all
}
