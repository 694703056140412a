package pod

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// An outcome is the reason why a watch of an attempt ended: the container exited,
// or its startup or liveness probe failed for good. It is zero if observe ended
// the watch.
type outcome struct {
	exit        *runtimeapi.ContainerStatus
	failedProbe *probeResult
}

var errWatchDone = errors.New("the watch is done")

// watchAttempt probes an attempt and waits for its end. observe is called with
// every result, except with that of a probe that failed for good. The watch ends
// when observe returns false.
func (w *worker) watchAttempt(ctx context.Context, ctr *corev1.Container, a attempt, observe func(probeResult) bool) (outcome, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var out outcome
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := prober{podRuntime: &w.podRuntime, ctr: ctr, attempt: a, ip: w.ip(), eventf: w.eventf}
		p.run(inner, func(r probeResult) {
			switch {
			case out.failedProbe != nil:
			case r.kind != readiness && r.verdict.Known && !r.verdict.OK:
				out.failedProbe = &r
				cancel(errWatchDone)
			case !observe(r):
				cancel(errWatchDone)
			}
		}, cancel)
	}()
	exit, err := w.waitExit(inner, a.id)
	// out belongs to the goroutine until it has ended.
	cancel(nil)
	<-done
	if err == nil {
		return outcome{exit: exit}, nil
	}
	switch cause := context.Cause(inner); {
	case ctx.Err() != nil:
	case errors.Is(cause, errWatchDone):
		return out, nil
	case !errors.Is(cause, context.Canceled):
		return outcome{}, cause // the prober's error
	}
	return outcome{}, err
}

var errNotStarted = errors.New("the container was never started")

// waitStarted waits until the startup probe of a sidecar passes. A sidecar
// without one has started as soon as it runs.
func (w *worker) waitStarted(ctx context.Context, ctr *corev1.Container) error {
	if ctr.StartupProbe == nil {
		return nil
	}
	a, err := w.latestAttempt(ctx, ctr.Name)
	if err != nil {
		return err
	}
	out, err := w.watchAttempt(ctx, ctr, a, func(r probeResult) bool { return !(r.kind == startup && r.verdict.OK) })
	return w.outcomeError(ctx, ctr, a, out, err)
}

// restartContainer starts the attempt after last, or the first one if last does not
// exist. It returns errStopping if the pod is being stopped or removed, and does
// nothing if another process has already started that attempt.
func (w *worker) restartContainer(ctx context.Context, ctr *corev1.Container, last attempt) error {
	lock, err := w.e.lockPod(ctx, w.l)
	if err != nil {
		return err
	}
	defer lock.release()
	if w.l.isStopping() {
		return errStopping
	}
	now, err := w.lastAttempt(ctx, ctr.Name)
	if err != nil {
		return err
	}
	if !last.exists() {
		if now.exists() {
			return nil
		}
		_, err = w.startContainer(ctx, ctr, now.number)
		return err
	}
	if now.number > last.number || last.created && !now.created {
		return nil
	}
	if err := w.removeOldAttempts(ctx, ctr, last.number); err != nil {
		return err
	}
	_, err = w.startContainer(ctx, ctr, last.number+1)
	return err
}

var errStopping = errors.New("the pod is being stopped")

// removeOldAttempts removes the attempts before last. That one stays, because
// its log can still be read.
func (w *worker) removeOldAttempts(ctx context.Context, ctr *corev1.Container, last uint32) error {
	all, err := w.e.attempts(ctx, w.l.UID)
	if err != nil {
		return err
	}
	for _, old := range all {
		n := old.Metadata.Attempt
		if old.Metadata.Name != ctr.Name || n >= last {
			continue
		}
		_, err := w.e.cri.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: old.Id})
		if err != nil && !cri.IsNotFound(err) {
			return err
		}
		log := filepath.Join(w.l.Logs(), translate.LogPath(ctr.Name, n))
		os.Remove(log)
		os.Remove(log + rotatedSuffix)
		os.Remove(w.l.TerminationLog(ctr.Name, n))
	}
	return nil
}

// outcomeError returns an outcome as an error, for callers that wait until the
// container works.
func (w *worker) outcomeError(ctx context.Context, ctr *corev1.Container, a attempt, out outcome, err error) error {
	switch {
	case err != nil:
		return err
	case out.exit != nil:
		return exitError(w.l, ctr, out.exit)
	case out.failedProbe != nil:
		return w.notReadyError(ctr, a, out.failedProbe, nil)
	}
	return nil
}
