package pod

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/probe"
)

// postStart runs a container's postStart hook. If it fails, the container is
// killed, as a kubelet kills it.
func (w *worker) postStart(ctx context.Context, ctr *corev1.Container, id string) error {
	if ctr.Lifecycle == nil || ctr.Lifecycle.PostStart == nil {
		return nil
	}
	err := w.hook(ctx, ctr, id, ctr.Lifecycle.PostStart)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("container %s: postStart hook: %w", ctr.Name, err)
	w.eventf(ctr.Name, "FailedPostStartHook", "%v", err)
	w.stopContainer(ctx, ctr, id, w.rec.Spec.GracePeriod())
	return err
}

// preStop runs a container's preStop hook for at most the time that it has to
// end. That the hook fails stops nothing.
func (w *worker) preStop(ctx context.Context, ctr *corev1.Container, id string, grace time.Duration) {
	if ctr.Lifecycle == nil || ctr.Lifecycle.PreStop == nil || grace <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := w.hook(ctx, ctr, id, ctr.Lifecycle.PreStop); err != nil {
		w.eventf(ctr.Name, "FailedPreStopHook", "container %s: preStop hook: %v", ctr.Name, err)
	}
}

func (w *worker) hook(ctx context.Context, ctr *corev1.Container, id string, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		return w.execHook(ctx, id, h.Exec.Command)
	case h.HTTPGet != nil:
		target, err := httpTarget(ctr, h.HTTPGet, w.ip())
		if err != nil {
			return err
		}
		return probe.Get(ctx, target)
	case h.Sleep != nil:
		return clock.Sleep(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
	}
	return nil // tcpSocket is accepted and never did anything
}

func (w *worker) execHook(ctx context.Context, id string, command []string) error {
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	res, err := w.e.cri.Run(ctx, id, command, timeout)
	if err != nil {
		return err
	}
	if res.ExitCode != 0 {
		return fmt.Errorf("%s: exit code %d: %s", command[0], res.ExitCode, firstLines(append(res.Stderr, res.Stdout...)))
	}
	return nil
}

// maxOutput bounds how much of a hook's or probe's output is shown, in bytes.
const maxOutput = 1024

func firstLines(out []byte) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(out[:min(len(out), maxOutput)]), "\uFFFD"))
	return s
}

// minGrace is the least time a container gets to end, whatever its preStop
// hook used up.
const minGrace = 2 * time.Second

// stopContainer ends a container: preStop hook, its stop signal, and SIGKILL
// once grace seconds are over.
func (w *worker) stopContainer(ctx context.Context, ctr *corev1.Container, id string, grace int64) error {
	began, budget := time.Now(), time.Duration(grace)*time.Second
	w.preStop(ctx, ctr, id, budget)
	left := budget
	if grace > 0 {
		left = max(budget-time.Since(began), minGrace)
	}
	left, err := w.sendStopSignal(ctx, ctr, id, left)
	if err != nil {
		return err
	}
	_, err = w.e.cri.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: id, Timeout: int64(left.Round(time.Second) / time.Second)})
	return err
}
