package pod

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// A pod is ready while all its containers and sidecars are ready. Each change is
// reported once.
func TestPodReadiness(t *testing.T) {
	spec := &corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "first"}, sidecar("side")},
		Containers:     []corev1.Container{{Name: "a"}, {Name: "b"}},
	}
	var got []string
	r := newPodReadiness(spec, func(ready bool, reason string) {
		if ready {
			reason = "ready"
		}
		got = append(got, reason)
	})
	r.set("a", "")
	r.set("b", "")
	r.set("side", "")
	r.set("b", "")
	r.set("a", "a crashed")
	r.set("b", "b crashed")
	r.set("a", "")
	r.set("b", "")
	r.end("stopped")
	r.set("a", "")
	if diff := cmp.Diff(got, []string{"ready", "a crashed", "ready", "stopped"}); diff != "" {
		t.Error(diff)
	}
	var nobody *podReadiness
	nobody.set("a", "")
	nobody.end("")
}

// A pod without probes is ready once it has run for a second, but not while a
// container is being restarted.
func TestSuperviseReady(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Spec.InitContainers = []corev1.Container{sidecar("side", "sleep")}
	began := time.Now()
	p := create(t, e, s)
	var r recorder
	supervise(t, p, &r)
	awaitReady(t, &r, true)
	if took := time.Since(began); took < settle {
		t.Errorf("it was ready after %s", took)
	}
	main := slices.IndexFunc(p.Containers, func(c Container) bool { return c.Name == "main" })
	if err := unix.Kill(p.Containers[main].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, &r, false)
	awaitReady(t, &r, true)
}

func awaitReady(t *testing.T, r *recorder, want bool) {
	t.Helper()
	if got := await(t, r.ready, func(bool) bool { return true }); got != want {
		t.Fatalf("got ready %v, want %v", got, want)
	}
}

// A pod that was running before is ready for a new supervisor. It is not ready as
// soon as somebody stops it, even if its containers take long to end.
func TestSuperviseReadyAdopted(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "onterm", "/dev/null", "x")
	s.Spec.TerminationGracePeriodSeconds = new(int64(10))
	s.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 3}}}
	p := create(t, e, s)
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		adopted, err := openTest(t).Find(t.Context(), p.Name)
		if err != nil {
			t.Fatal(err)
		}
		r := recorder{ready: make(chan bool, 10)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- adopted.Supervise(ctx, Supervision{Ready: r.hear}) }()
		awaitReady(t, &r, true)
		cancel()
		<-done
		select {
		case <-r.ready:
			t.Error("the end of a supervision was taken for the pod's")
		default:
		}
	}
	var r recorder
	supervise(t, p, &r)
	awaitReady(t, &r, true)
	other, err := openTest(t).Find(t.Context(), p.Name)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- other.Stop(t.Context(), -1, nil) }()
	awaitReady(t, &r, false)
	if len(stopped) > 0 {
		t.Error("it was ready until its end")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// The readiness probe makes a pod ready and not ready.
func TestSuperviseReadinessProbe(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "serve", ":8080")
	c := &s.Spec.Containers[0]
	c.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
	c.ReadinessProbe = httpProbe("/file?name=/shared/ready")
	dir := t.TempDir()
	p := create(t, e, shared(s, dir))
	var r recorder
	supervise(t, p, &r)
	await(t, r.seen, func(s string) bool { return s == "NotReady main" })
	for _, ready := range []bool{true, false, true} {
		file := filepath.Join(dir, "ready")
		if ready {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, &r, ready)
	}
	if err := p.Remove(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, &r, false)
}
