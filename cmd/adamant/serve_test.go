package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/web"
)

// A served is a lab with a daemon (adamant serve). A test may kill the daemon, its
// containerd and its pods.
type served struct {
	*lab
	t      *testing.T
	cmd    *exec.Cmd
	log    *outputLog
	images *web.Maker
	args   []string // of serve
}

// serve starts a daemon in its own lab. The end of the test closes the lab.
func serve(t *testing.T) *served { return serveOn(t, "") }

// serveOn is serve with a data directory.
func serveOn(t *testing.T, root string) *served { return serveWith(t, ownLab(t, root)) }

// serveWith is serve in a lab, with arguments of the command.
func serveWith(t *testing.T, l *lab, args ...string) *served {
	t.Helper()
	s := &served{t: t, images: web.NewMaker(l.dir), lab: l, args: args}
	s.start()
	t.Cleanup(s.close)
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An outputLog holds the output of a running program.
type outputLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *outputLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *outputLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (s *served) start() {
	s.t.Helper()
	s.log = &outputLog{}
	s.cmd = s.command(append([]string{"serve"}, s.args...)...)
	s.cmd.Stderr = s.log
	check(s.t, s.cmd.Start())
	s.until("the daemon answers", func() bool {
		c, err := net.Dial("unix", filepath.Join(s.state, "adamant.sock"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill kills the daemon with SIGKILL.
func (s *served) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *served) close() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the daemon ended with %v\n%s", err, s.log)
	}
	check(s.t, s.lab.close())
}

func (s *served) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within two minutes: %s\n%s", what, s.log)
		}
	}
}

// load loads an image of a version of the web server.
func (s *served) load(name, version, nature string) {
	s.t.Helper()
	archive, err := s.images.Pack(s.t.Context(), name, version, nature)
	check(s.t, err)
	check(s.t, s.adamant("load", archive))
}

// apply applies a manifest and returns the action for its workload.
func (s *served) apply(text string, flags ...string) local.Action {
	s.t.Helper()
	file := filepath.Join(s.dir, "manifest.yaml")
	check(s.t, os.WriteFile(file, []byte(text), 0o600))
	var out local.OutcomeDocument
	check(s.t, s.ask(&out, append([]string{"apply", "-f", file, "-o", "json"}, flags...)...))
	for _, r := range out.Results {
		if r.Generation != 0 {
			return r.Action
		}
	}
	return ""
}

// ask runs a command with -o json and decodes its output.
func (s *served) ask(into any, args ...string) error {
	cmd := s.command(args...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("adamant %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
		}
		return err
	}
	if err := checkOutput(cmd.Args, string(out)); err != nil {
		s.t.Error(err)
	}
	return json.Unmarshal(out, into)
}

// ended waits until a workload's rollout has ended and all instances are ready.
func (s *served) ended(name string) local.Status {
	s.t.Helper()
	var st local.Status
	s.until("the rollout of "+name+" has ended", func() bool {
		var doc struct{ Workload local.Status }
		err := s.ask(&doc, "status", name, "-o", "json")
		st = doc.Workload
		return err == nil && st.Phase.Ended() && st.Ready == st.Replicas && len(st.Instances) == st.Replicas
	})
	return st
}

// webManifest returns a Deployment of the web server with a Service.
func webManifest(image string, replicas, port int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  progressDeadlineSeconds: 60
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: web
        image: adamant.test/%s:1
        imagePullPolicy: Never
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: %d, targetPort: http, name: http}]
`, replicas, image, port)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestNoRequestFailsOverRollouts makes twenty rollouts of nginx while wrk requests
// its page over persistent connections.
func TestNoRequestFailsOverRollouts(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Fatal("wrk is not installed: scripts/setup --test installs it")
	}
	s := serve(t)
	check(t, s.adamant("load", s.container))
	port := freePort(t)
	manifest := func(n int) string {
		return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx}
spec:
  replicas: 2
  selector: {matchLabels: {app: nginx}}
  template:
    metadata:
      labels: {app: nginx}
      annotations: {version: "%d"}
    spec:
      containers:
      - name: nginx
        image: adamant.test/nginx-container:1
        securityContext: {readOnlyRootFilesystem: true}
        ports: [{containerPort: 80, name: http}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
        volumeMounts: [{name: cache, mountPath: /var/cache/nginx}, {name: run, mountPath: /var/run}]
      volumes: [{name: cache, emptyDir: {}}, {name: run, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec:
  selector: {app: nginx}
  ports: [{port: %d, targetPort: http, name: http}]
`, n, port)
	}
	s.apply(manifest(0))
	s.ended("nginx")
	load := exec.Command("wrk", "-t1", "-c8", "-d600s", "--latency", "http://127.0.0.1:"+strconv.Itoa(port)+"/")
	var out bytes.Buffer
	load.Stdout = &out
	check(t, load.Start())
	for n := 1; n <= 20; n++ {
		s.apply(manifest(n))
		if st := s.ended("nginx"); st.Phase != rollout.Complete || st.Generation != n+1 {
			t.Errorf("rollout %d: %+v", n, st)
		}
	}
	load.Process.Signal(os.Interrupt)
	load.Wait()
	if report := out.String(); strings.Contains(report, "Socket errors") || strings.Contains(report, "Non-2xx") || !strings.Contains(report, "requests in") {
		t.Errorf("requests failed:\n%s", report)
	} else {
		t.Log(report)
	}
}

func httpGet(url string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
