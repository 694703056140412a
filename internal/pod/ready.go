package pod

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

// settle is how long a container without a readiness probe must run to count
// as ready: a program that cannot write where it must is dead by then.
const settle = time.Second

// A NotReadyError says that a container runs but does not become ready, and
// what is known of why.
type NotReadyError struct {
	Container string
	Probe     string // startup, liveness or readiness; empty if no probe has answered
	Failures  int    // in a row
	Output    string // of the last failure
	Log       []string
	Hints     []Hint
	Err       error // why nobody waits any longer, nil if the probe failed for good
}

// Error is one line and, below it, the last lines of the container's log.
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

// Unwrap returns why nobody waits any longer.
func (e *NotReadyError) Unwrap() error { return e.Err }

// WaitReady waits until every container is ready: its startup probe has passed
// and its readiness probe passes; without the latter, once it has run for a
// second. A container that completed, and is not to be started again, is ready
// too. It starts containers that end in error again as often as
// PodSpec.Restarts says, and then fails with an *ExitError or *NotReadyError.
func (p *Pod) WaitReady(ctx context.Context, events Events) error {
	if err := p.Refresh(ctx); err != nil {
		return err
	}
	c, err := p.e.takeCare(ctx, p, events)
	if err != nil {
		return fmt.Errorf("pod %s: %w", p.Name, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, ctr := range longLived(&p.rec.Spec.Spec) {
		g.Go(func() error { return c.waitReady(ctx, ctr) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	c.say("", "Ready", "pod %s is ready", p.Name)
	return nil
}

// waitReady waits for one container, through as many crashes as are allowed.
func (c *care) waitReady(ctx context.Context, ctr *corev1.Container) error {
	for crashes := 0; ; crashes++ {
		a, err := c.current(ctx, ctr.Name)
		if err != nil {
			return fmt.Errorf("container %s: %w", ctr.Name, err)
		}
		err = c.attemptReady(ctx, ctr, a)
		if err == nil || ctx.Err() != nil || crashes >= c.rec.Spec.Restarts || !c.mayRestart(ctr) {
			return err
		}
		c.say(ctr.Name, "BackOff", "%v", err)
		if err := sleep(ctx, backOff(crashes)); err != nil {
			return err
		}
		if err := c.restart(ctx, ctr, a); err != nil {
			return err
		}
	}
}

// attemptReady waits until this start of a container is ready.
func (c *care) attemptReady(ctx context.Context, ctr *corev1.Container, a attempt) error {
	var last *reading
	out, err := c.watch(ctx, ctr, a, func(r reading) bool {
		if r.kind != liveness {
			last = &r
		}
		return !isReady(ctr, r)
	})
	switch {
	case out.exit != nil && !restarts(&c.rec.Spec, ctr, out.exit.ExitCode) && out.exit.ExitCode == 0:
		return nil // it did its work
	case err != nil && ctx.Err() != nil:
		return c.notReady(ctr, a, last, context.Cause(ctx))
	}
	return c.judge(ctx, ctr, a, out, err)
}

// isReady reports whether a reading makes the container ready.
func isReady(ctr *corev1.Container, r reading) bool {
	if !r.verdict.OK {
		return false
	}
	return r.kind == readiness || r.kind == settled || r.kind == startup && ctr.ReadinessProbe == nil
}

// unhealthy is the error for a container that a probe condemned.
func (c *care) unhealthy(ctr *corev1.Container, a attempt, r *reading) error {
	return c.notReady(ctr, a, r, nil)
}

func (c *care) notReady(ctr *corev1.Container, a attempt, r *reading, cause error) error {
	lines := tail(filepath.Join(c.l.logs(), logPath(ctr.Name, a.number)), 200)
	e := &NotReadyError{
		Container: ctr.Name, Err: cause, Hints: hints(lines),
		Log: lines[max(0, len(lines)-maxExitLog):],
	}
	if r != nil && !r.verdict.Last.OK {
		e.Probe, e.Failures, e.Output = string(r.kind), r.verdict.Row, r.verdict.Last.Output
	}
	return e
}
