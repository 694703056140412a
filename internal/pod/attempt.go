package pod

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// An attempt is one start of a container that is being watched.
type attempt struct {
	id     string
	number uint32
	began  time.Time
	made   bool // but not started
}

// An outcome is why watching an attempt ended: it exited, or a probe condemned
// it. A zero outcome means that the watcher had seen enough.
type outcome struct {
	exit      *runtimeapi.ContainerStatus
	condemned *reading
}

var errEnough = errors.New("the watcher has seen enough")

// watch probes an attempt and waits for its end. observe gets every reading
// that does not condemn it, and says whether to go on.
func (c *care) watch(ctx context.Context, ctr *corev1.Container, a attempt, observe func(reading) bool) (outcome, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var out outcome
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.probing(inner, ctr, a, func(r reading) {
			switch {
			case out.condemned != nil:
			case r.kind != readiness && r.verdict.Known && !r.verdict.OK:
				out.condemned = &r
				cancel(errEnough)
			case !observe(r):
				cancel(errEnough)
			}
		}, cancel)
	}()
	exit, err := c.waitExit(inner, a.id)
	cancel(nil)
	<-done
	if err == nil {
		return outcome{exit: exit}, nil
	}
	switch cause := context.Cause(inner); {
	case ctx.Err() != nil:
	case errors.Is(cause, errEnough):
		return out, nil
	case !errors.Is(cause, context.Canceled):
		return outcome{}, cause // of who probed
	}
	return outcome{}, err
}

// current is the newest attempt at a container.
func (c *care) current(ctx context.Context, name string) (attempt, error) {
	var latest map[string]*runtimeapi.Container
	err := c.patiently(ctx, func() (err error) {
		latest, err = c.e.latest(ctx, c.l.uid)
		return err
	})
	if err != nil {
		return attempt{}, err
	}
	found, ok := latest[name]
	if !ok {
		return attempt{}, errNotStarted
	}
	st, err := c.status(ctx, found.Id)
	if err != nil {
		return attempt{}, err
	}
	return attempt{id: found.Id, number: found.Metadata.Attempt, began: moment(st.StartedAt), made: st.State == runtimeapi.ContainerState_CONTAINER_CREATED}, nil
}

var errNotStarted = errors.New("the container was never started")

// waitStarted waits until a sidecar's startup probe passes; one without is
// started as soon as it runs.
func (c *care) waitStarted(ctx context.Context, ctr *corev1.Container, id string) error {
	if ctr.StartupProbe == nil {
		return nil
	}
	a, err := c.current(ctx, ctr.Name)
	if err != nil {
		return err
	}
	out, err := c.watch(ctx, ctr, a, func(r reading) bool { return !(r.kind == startup && r.verdict.OK) })
	return c.judge(ctx, ctr, a, out, err)
}

// restart makes the attempt that follows a. It does nothing if the pod is being
// stopped or removed, or somebody else was faster.
func (c *care) restart(ctx context.Context, ctr *corev1.Container, a attempt) error {
	lock, err := c.e.hold(ctx, c.l)
	if err != nil {
		return err
	}
	defer lock.release()
	if c.over() {
		return errOver
	}
	now, err := c.current(ctx, ctr.Name)
	if err != nil || now.number > a.number || a.made && !now.made {
		return err
	}
	if err := c.prune(ctx, ctr, a.number); err != nil {
		return err
	}
	_, err = c.startContainer(ctx, ctr, a.number+1)
	return err
}

var errOver = errors.New("the pod is being stopped")

// over reports whether the pod is not to run any more.
func (c *care) over() bool {
	return !exists(c.l.committed()) || exists(c.l.stopped())
}

// prune removes the attempts before the last one, which stays for its log.
func (c *care) prune(ctx context.Context, ctr *corev1.Container, last uint32) error {
	all, err := c.e.attempts(ctx, c.l.uid)
	if err != nil {
		return err
	}
	for _, old := range all {
		n := old.Metadata.Attempt
		if old.Metadata.Name != ctr.Name || n >= last {
			continue
		}
		_, err := c.e.cri.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: old.Id})
		if err != nil && !cri.IsNotFound(err) {
			return err
		}
		log := filepath.Join(c.l.logs(), logPath(ctr.Name, n))
		os.Remove(log)
		os.Remove(log + rotatedSuffix)
		os.Remove(c.l.terminationLog(ctr.Name, n))
	}
	return nil
}

// judge turns an outcome into the error that it is for somebody who waits for
// the container to work.
func (c *care) judge(ctx context.Context, ctr *corev1.Container, a attempt, out outcome, err error) error {
	switch {
	case err != nil:
		return err
	case out.exit != nil:
		return c.exitError(ctr, out.exit)
	case out.condemned != nil:
		return c.unhealthy(ctr, a, out.condemned)
	}
	return nil
}
