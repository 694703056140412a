package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/web"
)

// lab is the private containerd that all tests of this package share, and the
// program in their images.
var lab struct {
	once    sync.Once
	err     error
	opts    pod.Options
	dir     string
	images  *web.Maker
	loading sync.Mutex
}

func TestMain(m *testing.M) {
	if runc, ok := containerd.Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	code := m.Run()
	if lab.dir != "" {
		if err := closeLab(); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func closeLab() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(pod.Destroy(ctx, lab.opts), os.RemoveAll(lab.opts.Root), os.RemoveAll(lab.opts.State), os.RemoveAll(lab.dir))
}

// openEngine opens an engine on the lab.
func openEngine(t *testing.T) *pod.Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests run pods: they need root")
	}
	lab.once.Do(func() { lab.err = startLab(context.Background()) })
	if lab.err != nil {
		t.Fatal(lab.err)
	}
	e, err := pod.Open(t.Context(), lab.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func startLab(ctx context.Context) (err error) {
	if lab.dir, err = os.MkdirTemp("", "adamant-fleet-"); err != nil {
		return err
	}
	root, err := os.MkdirTemp("/var/tmp", "adamant-fleet-")
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("/run", "adamant-fleet-")
	if err != nil {
		return err
	}
	lab.opts = pod.Options{Root: root, State: state}
	lab.images = web.NewMaker(lab.dir)
	return nil
}

// loadVersion loads an image of a version under a name.
func loadVersion(t *testing.T, e *pod.Engine, name, version, nature string) {
	t.Helper()
	lab.loading.Lock()
	defer lab.loading.Unlock()
	repository, tag, _ := strings.Cut(name, ":")
	archive, err := lab.images.Pack(t.Context(), repository, version, nature)
	must(t, err)
	if _, err := e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if tag != "" && tag != "1" {
		if _, err := e.Daemon().Tag(t.Context(), appimage.Reference(repository), "adamant.test/"+name); err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openController opens a controller, and removes all its workloads at the end
// of the test.
func openController(t *testing.T, e *pod.Engine) *Controller {
	t.Helper()
	c, err := Open(t.Context(), Options{Engine: e, Log: func(err error) { t.Log(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ctx.Err() != nil {
			return // the test closed it itself
		}
		defer func() { must(t, c.Close()) }() // also if the next line ends the test
		empty(t, c)
	})
	return c
}

// empty deletes everything that is declared.
func empty(t *testing.T, c *Controller) {
	t.Helper()
	list, err := c.List()
	must(t, err)
	for _, s := range list {
		// A Job may be being deleted by its CronJob or because of its TTL.
		if err := c.Delete(s.Key, Author{User: "tester"}); err != nil && !errors.Is(err, ErrDeleting) && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	until(t, "all workloads are gone", func() bool {
		list, err := c.List()
		return err == nil && len(list) == 0
	})
	must(t, c.store.update(func(t tx) error { return removeAll(t, "services", "") }))
	must(t, c.openServices())
	pods, err := c.engine.Pods(context.Background())
	must(t, err)
	for _, p := range pods {
		if p.Labels[labelGeneration] != "" {
			t.Errorf("pod %s is left", p.Name)
		}
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// deployment returns a manifest of the web server.
func deployment(name, image string, replicas int, annotations map[string]string, more string) string {
	var notes strings.Builder
	for k, v := range annotations {
		fmt.Fprintf(&notes, "    %s: %q\n", k, v)
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  annotations:
%[4]s    a: b
spec:
  replicas: %[3]d
  progressDeadlineSeconds: 40
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata:
      labels: {app: %[1]s}
      annotations: {adamant.sh/restart-backoff: 500ms}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: adamant.test/%[2]s
        imagePullPolicy: Never
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
%[5]s`, name, image, replicas, notes.String(), more)
}

func serviceOf(name string, port int) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{port: %[2]d, targetPort: http, name: http}]
`, name, port)
}

// apply applies a manifest.
func apply(t *testing.T, c *Controller, text string) Outcome {
	t.Helper()
	file, err := manifest.Parse("test.yaml", []byte(text))
	must(t, err)
	out, err := c.Apply(t.Context(), file, ApplyOptions{By: Author{UID: 0, User: "tester"}})
	must(t, err)
	return out
}

// ended waits for the end of a rollout.
func ended(t *testing.T, c *Controller, name string, want rollout.Phase) Status {
	t.Helper()
	var s Status
	until(t, "the rollout of "+name+" ends", func() bool {
		var err error
		s, err = c.Status(Key{"default", "Deployment", name})
		must(t, err)
		return s.Phase.Ended()
	})
	if s.Phase != want {
		t.Fatalf("%s ended as %s, %q: want %s\n%+v", name, s.Phase, s.Reason, want, s.Instances)
	}
	return s
}

// serving returns a ready instance of the current generation.
func serving(s Status) InstanceStatus {
	for _, i := range s.Instances {
		if i.Generation == s.Generation && i.Phase == "Ready" {
			return i
		}
	}
	return InstanceStatus{}
}
