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

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// A Supervision says who hears of a pod that is supervised. The zero value
// tells nobody.
type Supervision struct {
	Events Events
	// Ready is told when the pod becomes ready, and when it stops being so and
	// why; to begin with it counts as not ready. It is ready while all its
	// containers are, by the rules of WaitReady, and not any more as soon as it
	// is stopped, removed or complete. Calls do not overlap and must not block.
	// That the supervision's ctx ends is no reason for one.
	Ready func(ready bool, reason string)
}

// ErrSupervised says that another process supervises the pod.
var ErrSupervised = errors.New("another process supervises it")

// Supervise does for a pod what a kubelet goes on doing once it runs: makes it
// anew if its sandbox is lost, as after a reboot, probes it, starts containers
// again by its restart policy with the kubelet's back-off, ends sidecars once
// the others completed, and stops a pod that uses more than its volumes may
// hold or runs past its deadline. It returns nil once the pod is complete, or
// was stopped or removed by somebody else, an *ExitError if it failed, an
// *EvictedError if it was stopped, ErrLost if its sandbox ends, and ctx's error
// when that ends; the pod goes on then. A runtime that does not answer is waited for: see Engine.Ensure.
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
	c, err := p.superviseCare(ctx, s)
	if err != nil {
		return fmt.Errorf("supervise pod %s: %w", p.Name, err)
	}
	err = c.patiently(ctx, func() error { return c.revive(ctx, p) })
	if err == nil {
		err = c.supervise(ctx)
	}
	if ctx.Err() != nil {
		return err
	}
	if c.over() && !isEvicted(err) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	c.readiness.end(endReason(err))
	return err
}

// superviseCare takes hold of a pod for as long as it is supervised.
func (p *Pod) superviseCare(ctx context.Context, s Supervision) (c *care, err error) {
	err = patiently(ctx, func() error {
		if err := p.Refresh(ctx); err != nil {
			return err
		}
		c, err = p.e.takeCare(ctx, p, s.Events)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.readiness, c.patient = newPodReadiness(&p.rec.Spec.Spec, s.Ready), true
	return c, nil
}

func endReason(err error) string {
	if err == nil {
		return "it has ended"
	}
	return err.Error()
}

// supervise tends every container until the main ones are complete.
func (c *care) supervise(ctx context.Context) error {
	spec := &c.rec.Spec.Spec
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	side, _ := errgroup.WithContext(inner)
	side.Go(func() error { return c.enforce(inner, cancel) })
	side.Go(func() error { c.watchEnd(inner); return nil })
	side.Go(func() error { c.watchSandbox(inner, cancel); return nil })
	for i := range spec.InitContainers {
		if ctr := &spec.InitContainers[i]; isSidecar(ctr) {
			side.Go(func() error { return ignoreEnd(c.tend(inner, ctr)) })
		}
	}
	var mains errgroup.Group
	failures := make([]*ExitError, len(spec.Containers))
	for i := range spec.Containers {
		mains.Go(func() error {
			failed, err := c.tendMain(inner, &spec.Containers[i])
			failures[i] = failed
			return err
		})
	}
	err := mains.Wait()
	cause := context.Cause(inner)
	cancel(nil)
	err = errors.Join(err, side.Wait())
	if isEvicted(cause) || err != nil && errors.Is(cause, ErrLost) {
		return cause
	}
	if err != nil {
		return err
	}
	return c.complete(ctx, failures)
}

// complete ends what still runs beside the main containers, and says how the
// pod ended.
func (c *care) complete(ctx context.Context, failures []*ExitError) error {
	if c.over() {
		return nil
	}
	if err := c.stopEvery(ctx, c.rec.Spec.gracePeriod()); err != nil {
		return err
	}
	for _, f := range failures {
		if f != nil {
			return f
		}
	}
	c.say("", "Completed", "pod %s completed", c.rec.Spec.Name)
	return nil
}

// stopEvery stops what runs of the pod.
func (c *care) stopEvery(ctx context.Context, grace int64) error {
	return c.patiently(ctx, func() error {
		all, err := c.e.containers(ctx, c.rec)
		if err != nil {
			return err
		}
		return c.stopAll(ctx, all, grace)
	})
}

// tendMain tends a main container until it is complete; failed is its end if
// that was in error.
func (c *care) tendMain(ctx context.Context, ctr *corev1.Container) (failed *ExitError, err error) {
	err = c.tend(ctx, ctr)
	if errors.As(err, &failed) {
		return failed, nil
	}
	return nil, err
}

// ignoreEnd forgives a sidecar that ended with the others.
func ignoreEnd(err error) error {
	var exit *ExitError
	if errors.Is(err, context.Canceled) || errors.As(err, &exit) || errors.Is(err, errOver) {
		return nil
	}
	return err
}

// tend watches a container and starts it again, until it is complete. It
// returns an *ExitError for one that ended in error for good.
func (c *care) tend(ctx context.Context, ctr *corev1.Container) error {
	crashes := 0
	var failed error // why the last start failed, if it did
	for {
		a, err := c.current(ctx, ctr.Name)
		if err != nil {
			return c.endOf(err)
		}
		if a.made { // whoever was about to start it was killed, or the runtime was
			if failed, err = c.again(ctx, ctr, a, cmp.Or(failed, errNotStarted), crashes); err != nil {
				return c.endOf(err)
			}
			crashes++
			continue
		}
		out, err := c.watch(ctx, ctr, a, func(r reading) bool { c.heed(ctr, r); return true })
		if err != nil {
			return c.endOf(err)
		}
		if out.condemned != nil {
			if out, err = c.execute(ctx, ctr, a, out.condemned); err != nil {
				return c.endOf(err)
			}
		}
		exit := c.exitError(ctr, out.exit)
		if c.over() {
			return errOver
		}
		if _, lost, err := c.lookAtSandbox(ctx); err == nil && lost && exit.ExitCode != 0 {
			return ErrLost // that is why it ended
		}
		if !restarts(&c.rec.Spec, ctr, exit.ExitCode) {
			if exit.ExitCode != 0 {
				c.readiness.set(ctr.Name, exit.Error())
				return exit
			}
			c.readiness.set(ctr.Name, "")
			return nil
		}
		c.readiness.set(ctr.Name, exit.Error())
		if moment(out.exit.FinishedAt).Sub(a.began) > backOffReset {
			crashes = 0
		}
		// What keeps it from starting says more than how it ended before.
		if failed, err = c.again(ctx, ctr, a, cmp.Or(failed, error(exit)), crashes); err != nil {
			return c.endOf(err)
		}
		crashes++
	}
}

// again waits out the back-off and starts a container once more; failed is why
// that failed.
func (c *care) again(ctx context.Context, ctr *corev1.Container, a attempt, why error, crashes int) (failed, err error) {
	wait := backOff(crashes)
	c.say(ctr.Name, "BackOff", "%v; starting it again in %s", why, wait)
	if err := sleep(ctx, wait); err != nil {
		return nil, err
	}
	err = c.patiently(ctx, func() error { return c.restart(ctx, ctr, a) })
	if err == nil || ctx.Err() != nil || errors.Is(err, errOver) {
		return nil, err
	}
	// A start that fails is one more crash: the next one may work.
	c.say(ctr.Name, "Failed", "%v", err)
	return err, nil
}

// endOf turns errors that only say that the pod is going into errOver.
func (c *care) endOf(err error) error {
	if c.over() || cri.IsNotFound(err) && !exists(c.l.dir) || errors.Is(err, fs.ErrNotExist) {
		return errOver
	}
	return err
}

// execute stops a container that its startup or liveness probe condemned.
func (c *care) execute(ctx context.Context, ctr *corev1.Container, a attempt, r *reading) (outcome, error) {
	grace := c.rec.Spec.gracePeriod()
	if r.probe.TerminationGracePeriodSeconds != nil {
		grace = *r.probe.TerminationGracePeriodSeconds
	}
	c.say(ctr.Name, "Killing", "container %s failed its %s probe and will be started again", ctr.Name, r.kind)
	c.readiness.set(ctr.Name, fmt.Sprintf("container %s failed its %s probe", ctr.Name, r.kind))
	err := c.patiently(ctx, func() error { return c.stopContainer(ctx, ctr, a.id, grace) })
	if err != nil {
		return outcome{}, err
	}
	exit, err := c.waitExit(ctx, a.id)
	return outcome{exit: exit}, err
}

// sayReady tells when a container becomes ready or stops being so.
func (c *care) sayReady(ctr *corev1.Container, r reading) {
	if r.kind != readiness || !r.verdict.Changed {
		return
	}
	if r.verdict.OK {
		c.say(ctr.Name, "Ready", "container %s is ready", ctr.Name)
	} else {
		c.say(ctr.Name, "NotReady", "%s", unready(ctr, r))
	}
}

// unready says why a container is not ready.
func unready(ctr *corev1.Container, r reading) string {
	return fmt.Sprintf("container %s is not ready: %s", ctr.Name, firstLines([]byte(r.verdict.Last.Output)))
}

// enforceEvery is how often a kubelet looks at what a pod uses.
const enforceEvery = 10 * time.Second
