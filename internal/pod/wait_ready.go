package pod

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// settle is the time after which a running container without a readiness probe
// counts as ready. A program that cannot write its files has ended by then.
const settle = time.Second

// A NotReadyError is returned when a container runs but does not become ready. It
// contains everything that is known about the reason.
type NotReadyError struct {
	Container string
	Probe     string // startup, liveness or readiness; empty if no probe has answered
	Failures  int    // in a row
	Output    string // of the last failure
	Log       []string
	Hints     []Hint
	Err       error // why the wait ended; nil if the probe failed for good
}

// Error returns one line, followed by the last lines of the container's log.
func (e *NotReadyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "container %s is not ready", e.Container)
	if e.Probe != "" {
		fmt.Fprintf(&b, ": %s probe failed %d times: %s", e.Probe, e.Failures, strings.TrimSpace(e.Output))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	for _, h := range e.Hints {
		fmt.Fprintf(&b, "\n  %s", h)
	}
	for _, line := range e.Log {
		fmt.Fprintf(&b, "\n  | %s", line)
	}
	return b.String()
}

// Unwrap returns the error that ended the wait.
func (e *NotReadyError) Unwrap() error { return e.Err }

// WaitReady waits until every container is ready: its startup probe has passed
// and its readiness probe passes. A container without a readiness probe is ready
// once it has run for a second. A container that completed and is not restarted
// is ready too. WaitReady restarts no containers, and fails with an *ExitError or
// *NotReadyError. See Start, which restarts them.
func (p *Pod) WaitReady(ctx context.Context, events Events) error {
	if err := p.Refresh(ctx); err != nil {
		return err
	}
	w, err := p.e.workerFor(ctx, p, events)
	if err != nil {
		return fmt.Errorf("pod %s: %w", p.Name, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, ctr := range translate.LongRunning(&p.rec.Spec.Spec) {
		g.Go(func() error { return w.waitReady(ctx, ctr) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	w.eventf("", "Ready", "pod %s is ready", p.Name)
	return nil
}

// waitReady waits for one container.
func (w *worker) waitReady(ctx context.Context, ctr *corev1.Container) error {
	a, err := w.latestAttempt(ctx, ctr.Name)
	if err != nil {
		return fmt.Errorf("container %s: %w", ctr.Name, err)
	}
	return w.attemptReady(ctx, ctr, a)
}

// attemptReady waits until an attempt is ready.
func (w *worker) attemptReady(ctx context.Context, ctr *corev1.Container, a attempt) error {
	var last *probeResult
	out, err := w.watchAttempt(ctx, ctr, a, func(r probeResult) bool {
		if r.kind != liveness {
			last = &r
		}
		return !isReady(ctr, r)
	})
	switch {
	case out.exit != nil && !restarts(&w.rec.Spec, ctr, out.exit.ExitCode) && out.exit.ExitCode == 0:
		return nil // it completed
	case err != nil && ctx.Err() != nil:
		return w.notReadyError(ctr, a, last, context.Cause(ctx))
	}
	return w.outcomeError(ctx, ctr, a, out, err)
}

// isReady reports whether the result of a probe makes the container ready.
func isReady(ctr *corev1.Container, r probeResult) bool {
	if !r.verdict.OK {
		return false
	}
	return r.kind == readiness || r.kind == settled || r.kind == startup && ctr.ReadinessProbe == nil
}

// notReadyError returns the error for a container that did not become ready.
// cause is the error that ended the wait, nil if a probe failed for good.
func (w *worker) notReadyError(ctr *corev1.Container, a attempt, r *probeResult, cause error) error {
	lines := tail(filepath.Join(w.l.Logs(), translate.LogPath(ctr.Name, a.number)), 200)
	e := &NotReadyError{
		Container: ctr.Name, Err: cause, Hints: onVolumes(hints(lines), ctr),
		Log: lines[max(0, len(lines)-maxExitLog):],
	}
	if r != nil && !r.verdict.Last.OK {
		e.Probe, e.Failures, e.Output = string(r.kind), r.verdict.Row, r.verdict.Last.Output
	}
	return e
}
