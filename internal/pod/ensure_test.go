package pod

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// A pod stays supervised and ready while its runtime is killed and restarted.
// After that the connections of its engine work again.
func TestEnsure(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Spec.Containers[0].LivenessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "echo", "x"}}},
		PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 30,
	}
	p := create(t, e, s)
	r := recorder{log: t.Logf}
	result := supervise(t, p, &r)
	awaitReady(t, &r, true)
	pid := p.Containers[0].PID
	if err := e.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	killRuntime(t, e)
	time.Sleep(1500 * time.Millisecond) // until a probe cannot be run
	ensureAtOnce(t, e, 4)
	if _, found, err := e.imageStatus(t.Context(), testImage); err != nil || !found {
		t.Errorf("CRI does not work again: %v, %v", found, err)
	}
	if _, err := e.Daemon().Images(t.Context()); err != nil {
		t.Errorf("containerd's client does not work again: %v", err)
	}
	if len(r.ready) > 0 || len(result) > 0 {
		t.Errorf("the pod was lost: %d, %d", len(r.ready), len(result))
	}
	r.mu.Lock()
	if len(r.reasons) > 0 {
		t.Errorf("got the events %v", r.reasons)
	}
	r.mu.Unlock()
	// The end of a container is still noticed.
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, &r, false)
	awaitReady(t, &r, true)
}

func ensureAtOnce(t *testing.T, e *Engine, callers int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if err := e.Ensure(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// A container that ends while the runtime does not run is restarted once the
// runtime runs again.
func TestEnsureAfterCrash(t *testing.T) {
	e := openTest(t)
	p := create(t, e, testPod(t))
	var r recorder
	supervise(t, p, &r)
	awaitReady(t, &r, true)
	pid := p.Containers[0].PID
	killRuntime(t, e)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	ensureAtOnce(t, e, 1)
	awaitReady(t, &r, false)
	awaitReady(t, &r, true)
}
