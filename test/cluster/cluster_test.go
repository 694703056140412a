//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
	if shared.archives, err = buildImages(ctx, shared.dir); err != nil {
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

// buildImages builds the images of the manifests in testdata: the inspector as
// root, and as a user with supplementary groups in the image.
func buildImages(ctx context.Context, dir string) ([]string, error) {
	root := filepath.Join(dir, "image")
	if err := imageRoot(root); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(root, "inspector"), "./inspector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		return nil, err
	}
	if err := os.Link(filepath.Join(root, "inspector"), filepath.Join(root, "bin/sh")); err != nil {
		return nil, err
	}
	var archives []string
	for name, user := range map[string]string{"inspector": "", "inspector-user": "app"} {
		archive := filepath.Join(dir, name+".tar")
		app := appimage.App{Name: name, User: user, Cmd: []string{"/inspector"}, Env: []string{"IMAGE=yes"}}
		if err := appimage.Pack(archive, root, app); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// imageRoot creates the files of an image: a directory with an owner and a
// mode, users, and supplementary groups.
func imageRoot(root string) error {
	for _, dir := range []string{"etc", "data/below", "tmp", "run/lock", "var"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/passwd":      "root:x:0:0:root:/root:/inspector\napp:x:1000:1000:app:/data:/inspector\n",
		"etc/group":       "root:x:0:\napp:x:1000:\nextra:x:2000:app\nmore:x:2001:other,app\n",
		"data/file":       "of the image\n",
		"data/below/file": "of the image\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(root, "data"), 0o750); err != nil {
		return err
	}
	return os.Chown(filepath.Join(root, "data"), 1000, 1000)
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
