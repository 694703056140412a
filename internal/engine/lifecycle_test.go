package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shared gives every container of a pod the host directory dir at /shared.
func shared(s PodSpec, dir string) PodSpec {
	s.Spec.Volumes = append(s.Spec.Volumes, corev1.Volume{Name: "shared", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}})
	for _, list := range [][]corev1.Container{s.Spec.InitContainers, s.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: "shared", MountPath: "/shared"})
		}
	}
	return s
}

func sidecar(name string, command ...string) corev1.Container {
	c := testContainer(name, command...)
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	return c
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Init containers run one after the other, sidecars stay, and at the end the
// sidecars go last, in reverse order.
func TestOrder(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "append", "/shared/log", "main starts", "--", "onterm", "/shared/log", "main")
	s.Spec.TerminationGracePeriodSeconds = new(int64(10))
	s.Spec.InitContainers = []corev1.Container{
		testContainer("first", "append", "/shared/log", "first"),
		sidecar("one", "seq", "append", "/shared/log", "one starts", "--", "onterm", "/shared/log", "one"),
		sidecar("two", "seq", "append", "/shared/log", "two starts", "--", "touch", "/shared/two", "--", "onterm", "/shared/log", "two"),
		testContainer("last", "seq", "wait", "/shared/two", "--", "append", "/shared/log", "last"),
	}
	s.Spec.InitContainers[1].StartupProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "cat", "/shared/log"}}}, PeriodSeconds: 1,
	}
	p := create(t, e, shared(s, dir))
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context(), -1, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"first", "one starts", "two starts", "last", "main starts", "main terminated", "two terminated", "one terminated"}
	if diff := cmp.Diff(lines(readFile(t, filepath.Join(dir, "log"))), want); diff != "" {
		t.Error(diff)
	}
}

func TestHooksAndStopSignal(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "wait", "/shared/post", "--", "onterm", "/shared/log", "main")
	s.Spec.TerminationGracePeriodSeconds = new(int64(10))
	s.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
		PostStart:  &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "seq", "append", "/shared/log", "post", "--", "touch", "/shared/post"}}},
		PreStop:    &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "append", "/shared/log", "pre"}}},
		StopSignal: new(corev1.SIGUSR1),
	}
	p := create(t, e, shared(s, dir))
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context(), -1, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"post", "pre", "main user defined signal 1"}
	if diff := cmp.Diff(lines(readFile(t, filepath.Join(dir, "log"))), want); diff != "" {
		t.Error(diff)
	}
	if p.Phase != Succeeded {
		t.Errorf("phase %s after the stop, want %s", p.Phase, Succeeded)
	}
}

// A program that does not end is killed after its grace period.
func TestStopKills(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "hang")
	s.Spec.TerminationGracePeriodSeconds = new(int64(1))
	p := create(t, e, s)
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context(), -1, nil); err != nil {
		t.Fatal(err)
	}
	if c := p.Containers[0]; c.State != Exited || c.ExitCode != 137 {
		t.Errorf("got %s with code %d", c.State, c.ExitCode)
	}
	if p.Phase != Failed {
		t.Errorf("phase %s, want %s", p.Phase, Failed)
	}
}

func TestCreateFails(t *testing.T) {
	e := openTest(t)
	with := func(change func(*PodSpec, *corev1.Container)) func(*testing.T) PodSpec {
		return func(t *testing.T) PodSpec {
			s := testPod(t)
			change(&s, &s.Spec.Containers[0])
			return s
		}
	}
	for _, tt := range []struct {
		name string
		spec func(*testing.T) PodSpec
		want []string
	}{
		{"image that is not there", with(func(s *PodSpec, c *corev1.Container) {
			c.Image, c.ImagePullPolicy = "adamant.test/none:1", corev1.PullNever
		}), []string{"container main: image adamant.test/none:1 is not loaded", "adamant load"}},
		{"image with a wrong digest", with(func(s *PodSpec, c *corev1.Container) {
			c.Image, c.ImagePullPolicy = "adamant.test/prog@sha256:"+strings.Repeat("0", 64), corev1.PullNever
		}), []string{"sha256:0000", "is not loaded"}},
		{"program that is not there", with(func(s *PodSpec, c *corev1.Container) { c.Command = []string{"/none"} }),
			[]string{"container main", "/none", "no such file or directory"}},
		{"volume that is not there", with(func(s *PodSpec, c *corev1.Container) {
			c.VolumeMounts = []corev1.VolumeMount{{Name: "none", MountPath: "/x"}}
		}), []string{"mount of volume none on /x"}},
		{"ConfigMap that is not there", with(func(s *PodSpec, c *corev1.Container) {
			*s = withVolumes(*s, mount{corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}, corev1.VolumeMount{MountPath: "/c"}})
		}), []string{`volume v0: ConfigMap "c" is not in the manifest`}},
		{"subPath that leads out", with(func(s *PodSpec, c *corev1.Container) {
			*s = withVolumes(*s, mount{emptyDir("", ""), corev1.VolumeMount{MountPath: "/c", SubPath: "../../x"}})
		}), []string{`subPath "../../x"`}},
		{"volume that needs a cluster", with(func(s *PodSpec, c *corev1.Container) {
			*s = withVolumes(*s, mount{corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "x", Path: "/"}}, corev1.VolumeMount{MountPath: "/c"}})
		}), []string{"not supported on one machine"}},
		{"root that must not be", with(func(s *PodSpec, c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: new(true)}
		}), []string{"the image runs as root"}},
		{"init container that fails", with(func(s *PodSpec, c *corev1.Container) {
			s.Spec.InitContainers = []corev1.Container{testContainer("setup", "exit", "3", "no database")}
		}), []string{"container setup ended with exit code 3", "| no database"}},
		{"hook that fails", with(func(s *PodSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "exit", "4", "hook says no"}}}}
		}), []string{"postStart hook", "exit code 4", "hook says no"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := e.Create(t.Context(), tt.spec(t), nil)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			checkNothing(t, e)
		})
	}
}

func httpProbe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web")}},
		PeriodSeconds: 1, FailureThreshold: 1,
	}
}

func TestWaitReady(t *testing.T) {
	e := openTest(t)
	server := func(t *testing.T) PodSpec {
		s := testPod(t, "serve", ":8080")
		s.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
		return s
	}
	for _, tt := range []struct {
		name string
		spec func(*testing.T) PodSpec
		want []string // nothing for ready
	}{
		{"no probes", func(t *testing.T) PodSpec { return testPod(t) }, nil},
		{"readiness", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].ReadinessProbe = httpProbe("/")
			return s
		}, nil},
		{"all three", func(t *testing.T) PodSpec {
			s := server(t)
			c := &s.Spec.Containers[0]
			c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = httpProbe("/"), httpProbe("/"), httpProbe("/")
			c.StartupProbe.FailureThreshold = 30
			return s
		}, nil},
		{"completed", func(t *testing.T) PodSpec {
			s := testPod(t, "exit", "0")
			s.Spec.RestartPolicy = corev1.RestartPolicyNever
			return s
		}, nil},
		{"crash on a read-only root", func(t *testing.T) PodSpec {
			s := testPod(t, "touch", "/run/app.pid")
			s.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
			return s
		}, []string{"container main ended with exit code 1", "/run/app.pid: Read-only file system (it needs a volume there)", "| prog: open /run/app.pid"}},
		{"last words", func(t *testing.T) PodSpec {
			return testPod(t, "seq", "write", "/dev/termination-log", "out of luck", "--", "exit", "2")
		}, []string{"exit code 2: out of luck"}},
		{"never ready", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].ReadinessProbe = httpProbe("/file?name=/none")
			return s
		}, []string{"container main is not ready: readiness probe failed", "statuscode: 503", "deadline exceeded"}},
		{"never started", func(t *testing.T) PodSpec {
			s := server(t)
			s.Spec.Containers[0].StartupProbe = httpProbe("/file?name=/none")
			s.Spec.Containers[0].StartupProbe.FailureThreshold = 2 // the first may come before it listens
			return s
		}, []string{"container main is not ready: startup probe failed", "statuscode: 503"}},
		{"probe by command", func(t *testing.T) PodSpec {
			s := testPod(t)
			s.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "exit", "9", "not yet"}}}, PeriodSeconds: 1}
			return s
		}, []string{"exit code 9: not yet"}},
		{"port that is not there", func(t *testing.T) PodSpec {
			s := testPod(t)
			s.Spec.Containers[0].StartupProbe = httpProbe("/")
			return s
		}, []string{`has no port "web"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := create(t, e, tt.spec(t))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if tt.want != nil {
				ctx, cancel = context.WithTimeout(t.Context(), 2500*time.Millisecond)
				defer cancel()
			}
			err := p.WaitReady(ctx, nil)
			if (err == nil) != (tt.want == nil) {
				t.Errorf("got %v", err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestHostPort(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "serve", ":8080")
	s.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, HostPort: 28080, HostIP: "127.0.0.1"}}
	s.Spec.Containers[0].ReadinessProbe = httpProbe("/")
	p := create(t, e, s)
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if !e.Daemon().Network().HostPorts {
		t.Skip("this machine's kernel cannot forward ports")
	}
	resp, err := http.Get("http://127.0.0.1:28080/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("got %s", resp.Status)
	}
}

// recorder keeps the reasons of events.
type recorder struct {
	mu      sync.Mutex
	reasons []string
	seen    chan string
}

func (r *recorder) take(ev Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons = append(r.reasons, ev.Reason)
	select {
	case r.seen <- fmt.Sprint(ev.Reason, " ", ev.Container):
	default:
	}
}

// supervise supervises a pod until the test ends or it does.
func supervise(t *testing.T, p *Pod, r *recorder) <-chan error {
	t.Helper()
	r.seen = make(chan string, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done, result := make(chan struct{}), make(chan error, 1)
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		result <- p.Supervise(ctx, r.take)
	}()
	return result
}

func await[T any](t *testing.T, c <-chan T, match func(T) bool) T {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case v := <-c:
			if match(v) {
				return v
			}
		case <-timeout:
			t.Fatal("waited in vain")
		}
	}
}

// A crash is followed by a new start at once, a second one not so soon, and
// the log of the first attempt stays.
func TestSuperviseRestarts(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "seq", "echo", "hello", "--", "once", "/shared/done", "exit", "7", "--", "sleep")
	p := create(t, e, shared(s, t.TempDir()))
	var r recorder
	supervise(t, p, &r)
	await(t, r.seen, func(s string) bool { return s == "Started main" })
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := p.Containers[0]; c.Restarts != 1 || c.State != Started || p.Phase != Running {
		t.Errorf("got %+v, want one restart and that it runs", c)
	}
	var log bytes.Buffer
	if err := p.Logs(t.Context(), "", LogOptions{Previous: true}, &log, &log); err != nil || log.String() != "hello\n\n" {
		t.Errorf("log of the first attempt: %q, %v", log.String(), err)
	}
	if err := p.Supervise(t.Context(), nil); !errors.Is(err, ErrSupervised) {
		t.Errorf("a second supervisor: got %v, want %v", err, ErrSupervised)
	}
}

func TestSuperviseLiveness(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "serve", ":8080")
	c := &s.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
	c.LivenessProbe = httpProbe("/file?name=/shared/alive")
	c.LivenessProbe.InitialDelaySeconds = 1
	p := create(t, e, shared(s, t.TempDir()))
	var r recorder
	supervise(t, p, &r)
	await(t, r.seen, func(s string) bool { return s == "Started main" })
	r.mu.Lock()
	defer r.mu.Unlock()
	want := []string{"Unhealthy", "Killing", "BackOff", "Started"}
	if diff := cmp.Diff(r.reasons, want); diff != "" {
		t.Error(diff)
	}
}

// A Job is complete when its container is; its sidecar is ended then.
func TestSuperviseJob(t *testing.T) {
	e := openTest(t)
	for _, tt := range []struct {
		name  string
		code  string
		phase Phase
	}{{"done", "0", Succeeded}, {"failed", "5", Failed}} {
		t.Run(tt.name, func(t *testing.T) {
			s := testPod(t, "exit", tt.code, "result")
			s.Spec.RestartPolicy = corev1.RestartPolicyNever
			s.Spec.InitContainers = []corev1.Container{sidecar("helper", "sleep")}
			p := create(t, e, s)
			var r recorder
			err := await(t, supervise(t, p, &r), func(error) bool { return true })
			var exit *ExitError
			if (tt.phase == Failed) != errors.As(err, &exit) {
				t.Errorf("got %v", err)
			}
			if err := p.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if p.Phase != tt.phase || slices.ContainsFunc(p.Containers, func(c Container) bool { return c.State != Exited }) {
				t.Errorf("got %s and %+v", p.Phase, p.Containers)
			}
		})
	}
}

// Whoever supervises hears that somebody else removed the pod.
func TestSuperviseRemoved(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	var r recorder
	result := supervise(t, p, &r)
	other, err := openTest(t).Find(t.Context(), p.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := await(t, result, func(error) bool { return true }); err != nil {
		t.Errorf("got %v, want the end without an error", err)
	}
	if slices.Contains(r.reasons, "Started") {
		t.Errorf("it was started again: %v", r.reasons)
	}
	checkNothing(t, e)
}

func TestSizeLimit(t *testing.T) {
	e := openTest(t)
	s := withVolumes(testPod(t), mount{emptyDir("", "1Mi"), corev1.VolumeMount{MountPath: "/v"}})
	p := create(t, e, s)
	if err := p.Check(); err != nil {
		t.Errorf("an empty volume: %v", err)
	}
	run(t, p, "fill", "/v/big", "2000000")
	err := p.Check()
	if !isEvicted(err) || !strings.Contains(err.Error(), "more than its sizeLimit of 1Mi") {
		t.Errorf("got %v", err)
	}
}

func TestPIDsLimit(t *testing.T) {
	e := openTest(t)
	e.opts.PIDs = 40
	p := create(t, e, testPod(t))
	if got := run(t, p, "fork", "200"); !strings.Contains(got, "resource temporarily unavailable") {
		t.Errorf("got %q, want a limit", got)
	}
}

func TestLogsFollow(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "echo", "one", "--", "wait", "/shared/go", "--", "echo", "two")
	s.Spec.RestartPolicy = corev1.RestartPolicyNever
	p := create(t, e, shared(s, dir))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	result := make(chan error, 1)
	go func() {
		defer write.Close()
		result <- p.Logs(context.Background(), "main", LogOptions{Follow: true}, write, write)
	}()
	var got [8]byte
	if _, err := read.Read(got[:]); err != nil || string(got[:4]) != "one\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(read); err != nil || rest.String() != "two\n" {
		t.Errorf("got %q, %v", rest.String(), err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// A log that grew large is put aside, and the container writes to a new one.
func TestRotateLogs(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	p := create(t, e, shared(testPod(t, "seq", "spam", "11000000", "--", "wait", "/shared/go", "--", "echo", "after", "--", "sleep"), dir))
	c := &care{e: e, rec: p.rec, l: newLayout(e.opts.Root, p.UID)}
	log := filepath.Join(c.l.logs(), logPath("main", 0))
	for {
		if info, err := os.Stat(log); err == nil && info.Size() > maxLog {
			break
		}
		if err := sleep(t.Context(), pollMin); err != nil {
			t.Fatal(err)
		}
	}
	c.rotateLogs(t.Context())
	if info, err := os.Stat(log + rotatedSuffix); err != nil || info.Size() < maxLog {
		t.Fatal(info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for len(tail(log, 1)) == 0 || tail(log, 1)[0] != "after" {
		if err := sleep(t.Context(), pollMin); err != nil {
			t.Fatal(err)
		}
	}
}

// A pod whose record was damaged is shown, and can be removed.
func TestDamagedRecord(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	if err := os.WriteFile(newLayout(e.opts.Root, p.UID).record(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := e.Find(t.Context(), p.UID)
	if err != nil || found.Phase != Damaged || found.Damage() == nil {
		t.Fatalf("got %+v, %v", found, err)
	}
	if err := found.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	checkNothing(t, e)
}
