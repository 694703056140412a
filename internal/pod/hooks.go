package pod

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/probe"
)

// postStart runs a container's postStart hook. If the hook fails, the container
// is stopped, as by a kubelet.
func (w *worker) postStart(ctx context.Context, ctr *corev1.Container, id string) error {
	if ctr.Lifecycle == nil || ctr.Lifecycle.PostStart == nil {
		return nil
	}
	err := hook{w.e.cri, ctr, id, w.ip()}.run(ctx, ctr.Lifecycle.PostStart)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("container %s: postStart hook: %w", ctr.Name, err)
	w.eventf(ctr.Name, "FailedPostStartHook", "%v", err)
	w.stopContainer(ctx, ctr, id, w.rec.Spec.GracePeriod())
	return err
}

// preStop runs a container's preStop hook for at most the grace period. If the
// hook fails, the container is stopped all the same.
func (w *worker) preStop(ctx context.Context, ctr *corev1.Container, id string, grace time.Duration) {
	if ctr.Lifecycle == nil || ctr.Lifecycle.PreStop == nil || grace <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err := hook{w.e.cri, ctr, id, w.ip()}.run(ctx, ctr.Lifecycle.PreStop)
	if err != nil {
		w.eventf(ctr.Name, "FailedPreStopHook", "container %s: preStop hook: %v", ctr.Name, err)
	}
}

// A hook runs the lifecycle hooks of one container.
type hook struct {
	runtime *cri.Client
	ctr     *corev1.Container
	id      string // of the container
	ip      string // of the pod
}

func (h hook) run(ctx context.Context, handler *corev1.LifecycleHandler) error {
	switch {
	case handler.Exec != nil:
		return h.exec(ctx, handler.Exec.Command)
	case handler.HTTPGet != nil:
		target, err := httpTarget(h.ctr, handler.HTTPGet, h.ip)
		if err != nil {
			return err
		}
		return probe.Get(ctx, target)
	case handler.Sleep != nil:
		return clock.Sleep(ctx, time.Duration(handler.Sleep.Seconds)*time.Second)
	}
	return nil // the API accepts tcpSocket, but a kubelet does nothing for it either
}

func (h hook) exec(ctx context.Context, command []string) error {
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	res, err := h.runtime.Run(ctx, h.id, command, timeout)
	if err != nil {
		return err
	}
	if res.ExitCode != 0 {
		return fmt.Errorf("%s: exit code %d: %s", command[0], res.ExitCode, excerpt(string(append(res.Stderr, res.Stdout...))))
	}
	return nil
}

// maxOutput bounds the output of a hook or probe in a message, in bytes.
const maxOutput = 1024

// excerpt returns the beginning of the output of a hook or probe.
func excerpt(out string) string {
	return strings.TrimSpace(strings.ToValidUTF8(out[:min(len(out), maxOutput)], "\uFFFD"))
}

// minGrace is the minimum time between the stop signal and SIGKILL, even if the
// preStop hook took the whole grace period.
const minGrace = 2 * time.Second

// stopContainer stops a container: it runs the preStop hook, sends the stop
// signal, and sends SIGKILL after grace seconds.
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
