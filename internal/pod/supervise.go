package pod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A Supervision configures Supervise. The zero value drops all events.
type Supervision struct {
	Events Events
	// Ready is called when the pod becomes ready, and with the reason when it
	// stops being ready. At first the pod is not ready. It is ready while all its
	// containers are ready by the rules of WaitReady, until it is stopped, removed
	// or complete. Calls do not overlap and must not block. Ready is not called
	// when the ctx of Supervise ends.
	Ready func(ready bool, reason string)
}

// ErrSupervised is returned when another process supervises the pod.
var ErrSupervised = errors.New("another process supervises it")

// Supervise supervises a running pod as a kubelet does. It recreates a lost
// sandbox, as after a reboot, probes the containers, restarts them by the pod's
// restart policy with the kubelet's back-off, stops sidecars once the other
// containers have completed, and evicts the pod if a volume exceeds its size
// limit or the pod exceeds its deadline.
//
// It returns nil once the pod is complete, or another caller stopped or removed
// it. The error is an *ExitError if the pod failed, an *EvictedError if it was
// evicted, ErrLost if its sandbox ended, or that of ctx; the pod keeps running
// when ctx ends. Supervise waits for a runtime that does not answer, see
// Engine.Ensure.
func (p *Pod) Supervise(ctx context.Context, s Supervision) error {
	l := newLayout(p.e.opts.Root, p.UID)
	lock, err := acquire(l.supervisor(), false)
	switch {
	case errors.Is(err, durable.ErrLocked):
		return fmt.Errorf("supervise pod %s: %w", p.Name, ErrSupervised)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("supervise pod %s: %w", p.Name, err)
	}
	defer lock.release()
	w, err := p.supervisor(ctx, s)
	if err != nil {
		return fmt.Errorf("supervise pod %s: %w", p.Name, err)
	}
	err = w.retryUnavailable(ctx, func() error { return w.recreate(ctx, p) })
	if err == nil {
		err = w.supervise(ctx)
	}
	if ctx.Err() != nil {
		return err
	}
	// Containers that another caller stops look like failures.
	if w.l.isStopping() && !isEvicted(err) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	w.readiness.end(endReason(err))
	return err
}

// supervisor returns the worker that supervises a pod.
func (p *Pod) supervisor(ctx context.Context, s Supervision) (w *worker, err error) {
	err = retryUnavailable(ctx, func() error {
		if err := p.Refresh(ctx); err != nil {
			return err
		}
		w, err = p.e.workerFor(ctx, p, s.Events)
		return err
	})
	if err != nil {
		return nil, err
	}
	w.readiness, w.retries = newPodReadiness(&p.rec.Spec.Spec, s.Ready), true
	return w, nil
}

func endReason(err error) string {
	if err == nil {
		return "it has ended"
	}
	return err.Error()
}

// supervise supervises every container until the main containers are complete.
func (w *worker) supervise(ctx context.Context) error {
	spec := &w.rec.Spec.Spec
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// enforce and watchSandbox end the supervision through cancel, so that its
	// cause is the result.
	side, _ := errgroup.WithContext(inner)
	side.Go(func() error { return w.enforce(inner, cancel) })
	side.Go(func() error { w.watchStopping(inner); return nil })
	side.Go(func() error { w.watchSandbox(inner, cancel); return nil })
	for i := range spec.InitContainers {
		if ctr := &spec.InitContainers[i]; translate.IsSidecar(ctr) {
			side.Go(func() error { return ignoreSidecarExit(w.superviseContainer(inner, ctr)) })
		}
	}
	var mains errgroup.Group
	failures := make([]*ExitError, len(spec.Containers))
	for i := range spec.Containers {
		mains.Go(func() error {
			failed, err := w.superviseMain(inner, &spec.Containers[i])
			failures[i] = failed
			return err
		})
	}
	err := mains.Wait()
	// Read before cancel(nil), which would set the cause to context.Canceled.
	cause := context.Cause(inner)
	cancel(nil)
	err = errors.Join(err, side.Wait())
	if isEvicted(cause) || err != nil && errors.Is(cause, ErrLost) {
		return cause
	}
	if err != nil {
		return err
	}
	return w.complete(ctx, failures)
}

// complete stops the sidecars, and returns the error of the first main container
// that failed.
func (w *worker) complete(ctx context.Context, failures []*ExitError) error {
	if w.l.isStopping() {
		return nil
	}
	if err := w.stopRunning(ctx, w.rec.Spec.GracePeriod()); err != nil {
		return err
	}
	for _, f := range failures {
		if f != nil {
			return f
		}
	}
	w.eventf("", "Completed", "pod %s completed", w.rec.Spec.Name)
	return nil
}

// stopRunning stops the containers of the pod that run.
func (w *worker) stopRunning(ctx context.Context, grace int64) error {
	return w.retryUnavailable(ctx, func() error {
		all, err := w.e.containers(ctx, w.rec)
		if err != nil {
			return err
		}
		return w.stopAll(ctx, all, grace)
	})
}

// superviseMain supervises a main container until it is complete. failed is set
// if the container ended in error.
func (w *worker) superviseMain(ctx context.Context, ctr *corev1.Container) (failed *ExitError, err error) {
	err = w.superviseContainer(ctx, ctr)
	if errors.As(err, &failed) {
		return failed, nil
	}
	return nil, err
}

// ignoreSidecarExit returns nil for the errors of a sidecar that ended: its exit
// is not the result of the pod.
func ignoreSidecarExit(err error) error {
	var exit *ExitError
	if errors.Is(err, context.Canceled) || errors.As(err, &exit) || errors.Is(err, errStopping) {
		return nil
	}
	return err
}

// superviseContainer watches and restarts a container until it is complete. It
// returns an *ExitError if the container ended in error and is not restarted.
func (w *worker) superviseContainer(ctx context.Context, ctr *corev1.Container) error {
	crashes := 0
	var failed error // why the last start failed, if it did
	for {
		a, err := w.latestAttempt(ctx, ctr.Name)
		if err != nil {
			return w.stoppingError(err)
		}
		if a.created {
			// The process that was about to start it was killed, or the runtime was.
			if failed, err = w.restartAfterBackOff(ctx, ctr, a, cmp.Or(failed, errNotStarted), crashes); err != nil {
				return w.stoppingError(err)
			}
			crashes++
			continue
		}
		out, err := w.watchAttempt(ctx, ctr, a, func(r probeResult) bool { w.updateReadiness(ctr, r); return true })
		if err != nil {
			return w.stoppingError(err)
		}
		if out.failedProbe != nil {
			if out, err = w.restartUnhealthy(ctx, ctr, a, out.failedProbe); err != nil {
				return w.stoppingError(err)
			}
		}
		exit := exitError(w.l, ctr, out.exit)
		if w.l.isStopping() {
			return errStopping
		}
		if _, lost, err := w.sandboxStatus(ctx); err == nil && lost && exit.ExitCode != 0 {
			return ErrLost // the container ended because its sandbox did
		}
		if !restarts(&w.rec.Spec, ctr, exit.ExitCode) {
			if exit.ExitCode != 0 {
				w.readiness.set(ctr.Name, exit.Error())
				return exit
			}
			w.readiness.set(ctr.Name, "")
			return nil
		}
		w.readiness.set(ctr.Name, exit.Error())
		if _, killed := w.e.killed.LoadAndDelete(a.id); killed {
			if failed, err = w.tryRestart(ctx, ctr, a); err != nil {
				return w.stoppingError(err)
			}
			continue
		}
		if unixTime(out.exit.FinishedAt).Sub(a.began) > backOffReset {
			crashes = 0
		}
		// A failure to start explains more than the earlier end of the container.
		if failed, err = w.restartAfterBackOff(ctx, ctr, a, cmp.Or(failed, error(exit)), crashes); err != nil {
			return w.stoppingError(err)
		}
		crashes++
	}
}

// restartAfterBackOff restarts a container after its back-off. failed is set if
// the restart failed.
func (w *worker) restartAfterBackOff(ctx context.Context, ctr *corev1.Container, a attempt, why error, crashes int) (failed, err error) {
	wait := backOff(crashes)
	w.eventf(ctr.Name, "BackOff", "%v; starting it again in %s", why, wait)
	if err := clock.Sleep(ctx, wait); err != nil {
		return nil, err
	}
	return w.tryRestart(ctx, ctr, a)
}

// tryRestart restarts a container. failed is set if it could not be started.
func (w *worker) tryRestart(ctx context.Context, ctr *corev1.Container, a attempt) (failed, err error) {
	err = w.retryUnavailable(ctx, func() error { return w.restartContainer(ctx, ctr, a) })
	if err == nil || ctx.Err() != nil || errors.Is(err, errStopping) {
		return nil, err
	}
	// A failed start counts as a crash, because the next start may succeed.
	w.eventf(ctr.Name, "Failed", "%v", err)
	return err, nil
}

// restartUnhealthy stops a container whose startup or liveness probe failed, so
// that superviseContainer restarts it.
func (w *worker) restartUnhealthy(ctx context.Context, ctr *corev1.Container, a attempt, r *probeResult) (outcome, error) {
	grace := w.rec.Spec.GracePeriod()
	if r.probe.TerminationGracePeriodSeconds != nil {
		grace = *r.probe.TerminationGracePeriodSeconds
	}
	w.eventf(ctr.Name, "Killing", "container %s failed its %s probe and will be started again", ctr.Name, r.kind)
	w.readiness.set(ctr.Name, fmt.Sprintf("container %s failed its %s probe", ctr.Name, r.kind))
	err := w.retryUnavailable(ctx, func() error { return w.stopContainer(ctx, ctr, a.id, grace) })
	if err != nil {
		return outcome{}, err
	}
	exit, err := w.waitExit(ctx, a.id)
	return outcome{exit: exit}, err
}

// emitReadiness emits an event when a container becomes ready or stops being so.
func (w *worker) emitReadiness(ctr *corev1.Container, r probeResult) {
	if r.kind != readiness || !r.verdict.Changed {
		return
	}
	if r.verdict.OK {
		w.eventf(ctr.Name, "Ready", "container %s is ready", ctr.Name)
	} else {
		w.eventf(ctr.Name, "NotReady", "%s", notReadyReason(ctr, r))
	}
}

// notReadyReason returns the reason why a container is not ready.
func notReadyReason(ctr *corev1.Container, r probeResult) string {
	return fmt.Sprintf("container %s is not ready: %s", ctr.Name, excerpt(r.verdict.Last.Output))
}

// enforceEvery is the interval of the checks of a pod's limits, as in the kubelet.
const enforceEvery = 10 * time.Second
