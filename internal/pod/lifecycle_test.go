package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// shared mounts the host directory dir on /shared in every container of a pod.
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

// Containers of all kinds are restarted in their pod, by its restart policy. A sidecar
// is restarted while an init container runs.
func TestStartRestarts(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "append", "/shared/log", "main", "--", "once", "/shared/m1", "exit", "7", "--", "once", "/shared/m2", "exit", "7", "--", "once", "/shared/m3", "exit", "7", "--", "sleep")
	s.Annotations = map[string]string{translate.AnnotationRestartBackOff: "100ms"}
	s.Spec.InitContainers = []corev1.Container{
		testContainer("first", "seq", "append", "/shared/log", "first", "--", "once", "/shared/f1", "exit", "9", "--", "once", "/shared/f2", "exit", "9"),
		sidecar("side", "seq", "wait", "/shared/last", "--", "once", "/shared/s1", "exit", "8", "--", "touch", "/shared/again", "--", "sleep"),
		testContainer("last", "seq", "append", "/shared/log", "last", "--", "touch", "/shared/last", "--", "wait", "/shared/again"),
	}
	var mu sync.Mutex
	crashes := map[string]int{}
	p := prepare(t, e, shared(s, dir))
	if p.Phase != Running || p.Containers[0].State != Waiting {
		t.Errorf("after Prepare it is %s: %+v", p.Phase, p.Containers[0])
	}
	err := p.Start(t.Context(), Supervision{Crashed: func(c Crash) {
		mu.Lock()
		defer mu.Unlock()
		crashes[c.Container] = c.Count
		if c.Init != (c.Container == "first") || c.Reason != "CrashLoopBackOff" {
			t.Errorf("got %+v", c)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(crashes, map[string]int{"first": 2, "side": 1, "main": 3}); diff != "" {
		t.Errorf("crashes (-got +want):\n%s", diff)
	}
	want := []string{"first", "first", "first", "last", "main", "main", "main", "main"}
	if diff := cmp.Diff(lines(readFile(t, filepath.Join(dir, "log"))), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	for i, restarts := range []int{2, 1, 0, 3} {
		if c := p.Containers[i]; c.Restarts != restarts || c.Waiting != "" {
			t.Errorf("got %+v, want %d restarts", c, restarts)
		}
	}
}

// An init container that fails fails the pod if its restart policy is Never.
func TestStartFails(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.Spec.InitContainers = []corev1.Container{sidecar("side", "sleep"), testContainer("setup", "exit", "3", "no database")}
	p := prepare(t, e, s)
	var exit *ExitError
	if err := p.Start(t.Context(), Supervision{}); !errors.As(err, &exit) || exit.Container != "setup" || exit.ExitCode != 3 {
		t.Errorf("got %v", err)
	}
	if err := p.Refresh(t.Context()); err != nil || p.Phase != Failed || p.Containers[0].State != Exited || p.Containers[2].State != Waiting {
		t.Errorf("got %s, %v: %+v", p.Phase, err, p.Containers)
	}
}

// A container that cannot be started is tried again.
func TestStartTriesAgain(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t)
	s.Annotations = map[string]string{translate.AnnotationRestartBackOff: "200ms"}
	late := testContainer("late")
	late.Command = []string{"/shared/program", "sleep"}
	s.Spec.Containers = append(s.Spec.Containers, late)
	p := prepare(t, e, shared(s, dir))
	give, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	crashed := make(chan Crash, 100)
	started := make(chan error, 1)
	own := *p
	go func() { started <- own.Start(give, Supervision{Crashed: func(c Crash) { crashed <- c }}) }()
	c := await(t, crashed, func(c Crash) bool { return c.Count == 2 })
	if c.Container != "late" || !strings.Contains(c.Err.Error(), "/shared/program") || !strings.Contains(c.Err.Error(), "no such file") {
		t.Errorf("got %+v", c)
	}
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := must(p.Container("late")); got.Waiting == "" || !strings.Contains(got.Message, "/shared/program") {
		t.Errorf("got %+v, want why it waits", got)
	}
	program, err := os.ReadFile(fmt.Sprintf("/proc/%d/exe", must(p.Container("main")).PID))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "program")); err != nil {
		t.Fatal(err)
	}
	if err := await(t, started, func(error) bool { return true }); err != nil {
		t.Error(err)
	}
}

// If the time is over, Start returns why the pod is not ready.
func TestStartTimeout(t *testing.T) {
	e := openTest(t)
	for _, tt := range []struct {
		name string
		spec func(*PodSpec)
		want []string
	}{
		{"init container that waits", func(s *PodSpec) {
			s.Spec.InitContainers = []corev1.Container{testContainer("setup", "seq", "echo", "waiting for it", "--", "sleep")}
		}, []string{"container setup is not ready", "deadline exceeded", "| waiting for it"}},
		{"container that crashes", func(s *PodSpec) { s.Spec.Containers[0].Command = []string{"/prog", "exit", "3", "no database"} },
			[]string{"deadline exceeded", "container main ended with exit code 3", "| no database"}},
		{"probe that fails", func(s *PodSpec) {
			s.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "exit", "9", "not yet"}}}, PeriodSeconds: 1}
		}, []string{"container main is not ready: readiness probe failed", "exit code 9: not yet", "deadline exceeded"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := testPod(t)
			tt.spec(&s)
			p := prepare(t, e, s)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err := p.Start(ctx, Supervision{})
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// An ephemeral pod that is released outlives its process.
func TestRelease(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Ephemeral = true
	p := create(t, e, s)
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	other := openTest(t) // removes ephemeral pods without an owner
	found, err := other.Find(t.Context(), p.Name)
	if err != nil || found.Phase != Running || found.Spec().Ephemeral {
		t.Errorf("got %+v, %v", found, err)
	}
	for _, skip := range []bool{false, true} {
		pods, err := other.Unsupervised(t.Context(), func(uid string, _ *PodSpec) bool { return skip || uid != p.UID })
		if err != nil || (len(pods) == 1) == skip {
			t.Errorf("unsupervised: %v, %v", pods, err)
		}
	}
}

// Init containers run one after the other. Sidecars keep running and are stopped
// last, in reverse order.
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

// A program that ignores its stop signal is killed after the grace period.
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
