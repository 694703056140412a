package pod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
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

// While a pod starts, its containers are restarted as a kubelet restarts them.
func TestRestartsWhileStarting(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "once", "/shared/main", "exit", "7", "--", "append", "/shared/log", "main")
	s.Spec.RestartPolicy, s.RestartsAtStart = corev1.RestartPolicyOnFailure, true
	s.Spec.InitContainers = []corev1.Container{
		sidecar("side", "seq", "once", "/shared/side", "exit", "8", "--", "touch", "/shared/up", "--", "sleep"),
		testContainer("init", "seq", "once", "/shared/init", "exit", "9", "--", "append", "/shared/log", "init"),
	}
	s.Spec.InitContainers[0].StartupProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "cat", "/shared/up"}}}, PeriodSeconds: 1, FailureThreshold: 30,
	}
	p := create(t, e, shared(s, dir))
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Supervise(t.Context(), Supervision{}); err != nil {
		t.Errorf("the pod did not complete: %v", err)
	}
	if diff := cmp.Diff(lines(readFile(t, filepath.Join(dir, "log"))), []string{"init", "main"}); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
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
