package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// recorder keeps the reasons of events.
type recorder struct {
	mu      sync.Mutex
	reasons []string
	seen    chan string
	ready   chan bool
	log     func(string, ...any) // called with every event; may be nil
}

func (r *recorder) hear(ready bool, _ string) { r.ready <- ready }

func (r *recorder) take(ev Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons = append(r.reasons, ev.Reason)
	if r.log != nil {
		r.log("%s: %s", ev.Reason, ev.Message)
	}
	select {
	case r.seen <- fmt.Sprint(ev.Reason, " ", ev.Container):
	default:
	}
}

// supervise supervises a pod until the test or the pod ends.
func supervise(t *testing.T, p *Pod, r *recorder) <-chan error {
	t.Helper()
	r.seen, r.ready = make(chan string, 100), make(chan bool, 100)
	ctx, cancel := context.WithCancel(context.Background())
	done, result := make(chan struct{}), make(chan error, 1)
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		result <- p.Supervise(ctx, Supervision{Events: r.take, Ready: r.hear})
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

// A container is restarted immediately after the first crash and later after the
// second. The log of the first attempt stays.
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
	if err := p.Supervise(t.Context(), Supervision{}); !errors.Is(err, ErrSupervised) {
		t.Errorf("a second supervisor: got %v, want %v", err, ErrSupervised)
	}
}

// A container that Kill kills is restarted immediately, each time.
func TestSuperviseKill(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	killer, err := p.Fresh(t.Context()) // Supervise writes to p
	if err != nil {
		t.Fatal(err)
	}
	var r recorder
	supervise(t, p, &r)
	for range 2 {
		if err := killer.Kill(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		await(t, r.seen, func(s string) bool { return s == "Started main" })
	}
	if err := killer.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := killer.Containers[0]; c.Restarts != 2 || c.State != Started {
		t.Errorf("got %+v, want two restarts and that it runs", c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(r.reasons, []string{"Started", "Started"}); diff != "" {
		t.Errorf("events (-got +want):\n%s", diff)
	}
}

// A container that has crashed when Kill kills it is restarted as after a crash.
func TestSuperviseCrashBeforeKill(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	c := p.Containers[0]
	var r recorder
	supervise(t, p, &r)
	e.killed.Store(c.ID, struct{}{}) // as Kill does before its signal, which is too late
	if err := unix.Kill(c.PID, unix.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	await(t, r.seen, func(s string) bool { return s == "Started main" })
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(r.reasons, []string{"BackOff", "Started"}); diff != "" {
		t.Errorf("events (-got +want):\n%s", diff)
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

// A Job is complete when its container is. Its sidecar is then stopped.
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

// Supervise returns when somebody else removes the pod.
func TestSuperviseRemoved(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	name := p.Name // Supervise writes to p
	var r recorder
	result := supervise(t, p, &r)
	other, err := openTest(t).Find(t.Context(), name)
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
