package pod

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Terminate calls ended between the end of the containers and that of the network.
func TestTerminate(t *testing.T) {
	e := openTest(t)
	dir := t.TempDir()
	s := testPod(t, "seq", "touch", "/shared/up", "--", "onterm", "/shared/log", "main")
	s.Spec.TerminationGracePeriodSeconds = new(int64(20))
	s.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/prog", "cat", "/shared/up"}}}, PeriodSeconds: 1,
	}
	p := create(t, e, shared(s, dir))
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := p.Terminate(t.Context(), nil, func(ctx context.Context) {
		calls++
		at, err := p.Fresh(ctx)
		if err != nil {
			t.Error(err)
		} else if at.Containers[0].State != Exited || at.IP == "" {
			t.Errorf("the container is %s, the address is %q; want Exited and an address", at.Containers[0].State, at.IP)
		}
	})
	if err != nil || calls != 1 {
		t.Errorf("ended was called %d times, %v", calls, err)
	}
	if got := readFile(t, filepath.Join(dir, "log")); got != "main terminated\n" {
		t.Errorf("the log is %q", got)
	}
	checkNothing(t, e)
}

// Recover leaves a pod whose Terminate was interrupted until its grace period is over.
func TestTerminateIsInterrupted(t *testing.T) {
	e := openTest(t)
	s := testPod(t, "hang")
	s.Spec.TerminationGracePeriodSeconds = new(int64(60))
	p := create(t, e, s)
	if err := p.WaitReady(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	err := p.Terminate(ctx, func(e Event) {
		if e.Reason == "Killing" {
			interrupt()
		}
	}, func(context.Context) { t.Error("ended was called") })
	if err == nil {
		t.Error("no error after the interrupt")
	}
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Phase != Removing || !p.IsEnding() || p.Containers[0].State != Started {
		t.Errorf("after Recover the pod is %s, ending %v, its container %s", p.Phase, p.IsEnding(), p.Containers[0].State)
	}
	if err := newLayout(e.opts.Root, p.UID).markRemoving(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if p.IsEnding() {
		t.Error("the pod is ending after its grace period")
	}
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkNothing(t, e)
}
