package pod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

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
	// WasReady is set if the pod was ready under its last supervisor. It then is ready until
	// a probe or the end of a container tells otherwise, as if a kubelet is restarted.
	WasReady bool
	// Crashed is called when the back-off after a crash begins, and again with the
	// same crash if this supervisor continues the back-off of another. Calls do not
	// overlap and must not block.
	Crashed func(Crash)
}

// ErrSupervised is returned when another process supervises the pod.
var ErrSupervised = errors.New("another process supervises it")

// Supervise supervises a pod as a kubelet does. It recreates a lost sandbox, as
// after a reboot, starts the containers that were not started yet, probes them,
// restarts them by the pod's restart policy with the kubelet's back-off, stops
// sidecars once the other containers have completed, and evicts the pod if a volume
// exceeds its size limit or the pod exceeds its deadline. It continues where the
// last supervisor stopped or was killed, also in the middle of a back-off.
//
// It returns nil once the pod is complete, or another caller stopped or removed
// it. The error is an *ExitError if the pod failed, an *EvictedError if it was
// evicted, ErrLost if its sandbox ended, or that of ctx; the pod keeps running
// when ctx ends. Supervise waits for a runtime that does not answer, see
// Engine.Ensure.
func (p *Pod) Supervise(ctx context.Context, s Supervision) error {
	return p.supervise(ctx, s, newStarting(s.Crashed))
}

func (p *Pod) supervise(ctx context.Context, s Supervision, starting *starting) error {
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
	w, err := p.supervisor(ctx, s, !starting.once)
	if err != nil {
		return fmt.Errorf("supervise pod %s: %w", p.Name, err)
	}
	w.starting = starting
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
func (p *Pod) supervisor(ctx context.Context, s Supervision, retries bool) (w *worker, err error) {
	waits := podRuntime{retries: retries}
	err = waits.retryUnavailable(ctx, func() error {
		if err := p.Refresh(ctx); err != nil {
			return err
		}
		w, err = p.e.workerFor(ctx, p, s.Events)
		return err
	})
	if err != nil {
		return nil, err
	}
	w.readiness, w.retries = newPodReadiness(&p.rec.Spec.Spec, s.Ready), retries
	if s.WasReady {
		w.readiness.assume()
	}
	return w, nil
}

func endReason(err error) string {
	if err == nil {
		return "it has ended"
	}
	return err.Error()
}

// supervise starts and supervises the containers until the main ones are complete.
func (w *worker) supervise(ctx context.Context) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// enforce and watchSandbox end the supervision through cancel, so that its
	// cause is the result.
	side, _ := errgroup.WithContext(inner)
	side.Go(func() error { return w.enforce(inner, cancel) })
	side.Go(func() error { w.watchStopping(inner); return nil })
	side.Go(func() error { w.watchSandbox(inner, cancel); return nil })
	failed, err := w.superviseInits(inner, side)
	if err == nil && failed == nil {
		failed, err = w.superviseMains(inner)
	}
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
	return w.complete(ctx, failed)
}

// superviseInits runs the init containers one after the other. It returns once the
// last one has completed, and leaves sidecars to side. failed is set if one ended in
// error and is not restarted.
func (w *worker) superviseInits(ctx context.Context, side *errgroup.Group) (failed *ExitError, err error) {
	begun, err := w.hasBegun(ctx)
	if err != nil {
		return nil, w.stoppingError(err)
	}
	inits := w.rec.Spec.Spec.InitContainers
	for i := range inits {
		ctr := &inits[i]
		switch {
		case translate.IsSidecar(ctr):
			err = w.superviseSidecar(ctx, ctr, side, begun)
		case !begun:
			failed, err = asFailed(w.superviseContainer(ctx, ctr, nil, nil))
		}
		if failed != nil || err != nil {
			return failed, err
		}
	}
	return nil, nil
}

// hasBegun reports whether a main container was started in this sandbox, so that the
// init containers have completed. As in the kubelet, the runtime may have lost them.
func (w *worker) hasBegun(ctx context.Context) (bool, error) {
	for i := range w.rec.Spec.Spec.Containers {
		_, err := w.latestAttempt(ctx, w.rec.Spec.Spec.Containers[i].Name)
		if err == nil || !errors.Is(err, errNotStarted) {
			return err == nil, err
		}
	}
	return false, nil
}

// superviseSidecar supervises a sidecar in side. Unless the pod has begun, it returns
// once the sidecar has started: it runs, and its startup probe has passed.
func (w *worker) superviseSidecar(ctx context.Context, ctr *corev1.Container, side *errgroup.Group, begun bool) error {
	started, ended := make(chan struct{}), make(chan struct{})
	side.Go(func() error {
		defer close(ended)
		return ignoreSidecarExit(w.superviseContainer(ctx, ctr, nil, sync.OnceFunc(func() { close(started) })))
	})
	if begun {
		return nil
	}
	select {
	case <-started:
	case <-ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if w.l.isStopping() {
		return errStopping
	}
	return nil
}

// superviseMains supervises the main containers until all are complete. failed is
// set if one of them ended in error: the first in the manifest.
func (w *worker) superviseMains(ctx context.Context) (failed *ExitError, err error) {
	mains := w.rec.Spec.Spec.Containers
	failures := make([]*ExitError, len(mains))
	group, ctx := errgroup.WithContext(ctx)
	for i := range mains {
		// As by a kubelet, the containers are started in the manifest's order.
		unstarted, err := w.startFirst(ctx, &mains[i])
		group.Go(func() error {
			if err == nil {
				failures[i], err = asFailed(w.superviseContainer(ctx, &mains[i], unstarted, nil))
			}
			return err
		})
	}
	err = group.Wait()
	for _, f := range failures {
		if failed == nil {
			failed = f
		}
	}
	return failed, err
}

// startFirst starts a container that was never tried before. failed is set if it could
// not be started.
func (w *worker) startFirst(ctx context.Context, ctr *corev1.Container) (failed, err error) {
	if w.l.readCrash(ctr.Name).Count > 0 {
		return nil, nil
	}
	last, err := w.lastAttempt(ctx, ctr.Name)
	if err == nil && !last.exists() {
		failed, err = w.tryStart(ctx, ctr, last)
	}
	return failed, w.stoppingError(err)
}

// asFailed separates the end of a container in error from other errors.
func asFailed(err error) (*ExitError, error) {
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit, nil
	}
	return nil, err
}

// complete stops the sidecars, and returns failed if the pod failed.
func (w *worker) complete(ctx context.Context, failed *ExitError) error {
	if w.l.isStopping() {
		return nil
	}
	if err := w.stopRunning(ctx, w.rec.Spec.GracePeriod()); err != nil {
		return err
	}
	if failed != nil {
		return failed
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

// ignoreSidecarExit returns nil for the errors of a sidecar that ended: its exit
// is not the result of the pod.
func ignoreSidecarExit(err error) error {
	var exit *ExitError
	if errors.Is(err, context.Canceled) || errors.As(err, &exit) || errors.Is(err, errStopping) {
		return nil
	}
	return err
}

// superviseContainer starts, watches and restarts a container until it is complete.
// It returns an *ExitError if the container ended in error and is not restarted.
// failed is why the last start failed, nil if it did not. started is called when the
// container has started: it runs, and its startup probe has passed.
func (w *worker) superviseContainer(ctx context.Context, ctr *corev1.Container, failed error, started func()) error {
	rec := w.l.readCrash(ctr.Name)
	var tried attempt // before the last start
	for {
		if w.l.isStopping() {
			return errStopping
		}
		last, err := w.lastAttempt(ctx, ctr.Name)
		if err != nil {
			return w.stoppingError(err)
		}
		var end *ending
		switch {
		case failed != nil && (last.id == tried.id || last.created):
			end = &ending{attempt: last.number, at: time.Now(), reason: startReason(failed), err: failed}
			if last.exists() && !last.created {
				end.attempt++
			}
		case last.exists() && !last.created:
			if ctr.StartupProbe == nil && started != nil && failed == nil {
				started()
			}
			if end, err = w.watchUntilEnd(ctx, ctr, last, started); err != nil || end == nil {
				return w.stoppingError(err)
			}
			// A failure to start explains more than the end of the container.
			end.err = cmp.Or(failed, end.err)
		}
		_, killed := w.e.killed.LoadAndDelete(last.id)
		killed = killed && !endedByItself(end)
		if end != nil && !killed {
			rec = w.recordCrash(ctr, rec, *end)
		}
		// Without an end, another supervisor may have been killed during a back-off.
		if end != nil && !killed || time.Now().Before(rec.Until) {
			if err := w.waitBackOff(ctx, ctr, rec, end); err != nil {
				return w.stoppingError(err)
			}
		}
		tried = last
		if failed, err = w.tryStart(ctx, ctr, last); err != nil {
			return w.stoppingError(err)
		}
	}
}

// endedByItself reports whether a container that was killed had ended before.
func endedByItself(end *ending) bool {
	var exit *ExitError
	return end != nil && errors.As(end.err, &exit) && exit.ExitCode != KilledCode
}

// watchUntilEnd watches an attempt until it has ended. The result is nil if the
// container is complete. The error is an *ExitError if the container ended in error
// and is not restarted.
func (w *worker) watchUntilEnd(ctx context.Context, ctr *corev1.Container, a attempt, started func()) (*ending, error) {
	w.starting.began(ctr, func(cause error) error { return w.notReadyError(ctr, a, nil, cause) })
	out, err := w.watchAttempt(ctx, ctr, a, func(r probeResult) bool {
		if !isSetup(&w.rec.Spec, ctr) {
			w.updateReadiness(ctr, r)
			w.starting.probed(ctr, r, func(cause error) error { return w.notReadyError(ctr, a, &r, cause) })
		}
		if started != nil && r.kind == startup && r.verdict.OK {
			started()
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var unhealthy error
	if r := out.failedProbe; r != nil {
		unhealthy = w.notReadyError(ctr, a, r, nil)
		if out, err = w.restartUnhealthy(ctx, ctr, a, r); err != nil {
			return nil, err
		}
	}
	exit := exitError(w.l, ctr, out.exit)
	if w.l.isStopping() {
		return nil, errStopping
	}
	if _, lost, err := w.sandboxStatus(ctx); err == nil && lost && exit.ExitCode != 0 {
		return nil, ErrLost // the container ended because its sandbox did
	}
	if !restarts(&w.rec.Spec, ctr, exit.ExitCode) {
		if exit.ExitCode != 0 {
			w.readiness.set(ctr.Name, exit.Error())
			return nil, exit
		}
		if isSetup(&w.rec.Spec, ctr) {
			w.eventf(ctr.Name, "Completed", "init container %s completed", ctr.Name)
		} else {
			w.readiness.set(ctr.Name, "")
		}
		w.starting.completed(ctr)
		return nil, nil
	}
	if !isSetup(&w.rec.Spec, ctr) {
		w.readiness.set(ctr.Name, exit.Error())
	}
	at := unixTime(out.exit.FinishedAt)
	if at.IsZero() {
		at = time.Now()
	}
	var ran time.Duration
	if !a.began.IsZero() { // else it could not be started
		ran = at.Sub(a.began)
	}
	return &ending{attempt: a.number, at: at, ran: ran, reason: reasonCrashLoop, err: cmp.Or(unhealthy, error(exit))}, nil
}

// tryStart starts the attempt after last. failed is set if that was not possible.
func (w *worker) tryStart(ctx context.Context, ctr *corev1.Container, last attempt) (failed, err error) {
	err = w.retryUnavailable(ctx, func() error { return w.restartContainer(ctx, ctr, last) })
	if err == nil || ctx.Err() != nil || errors.Is(err, errStopping) || IsUnavailable(err) {
		return nil, err
	}
	if stopping := w.stoppingError(err); errors.Is(stopping, errStopping) {
		return nil, stopping
	}
	// The next start may succeed.
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
