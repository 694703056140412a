package pod

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// Start supervises a pod, as Supervise does, until it is ready or complete. If ctx
// ends before, the error is why the pod is not ready: a *NotReadyError, or the end of
// the container that crashed last. Unlike Supervise, it does not wait for a runtime
// that does not answer: see IsUnavailable. The caller calls Supervise next, or leaves
// the pod running.
func (p *Pod) Start(ctx context.Context, s Supervision) error {
	starting := newStarting(s.Crashed)
	starting.once = true
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	notify := s.Ready
	s.Ready = func(ready bool, reason string) {
		if notify != nil {
			notify(ready, reason)
		}
		if ready {
			cancel(errReady)
		}
	}
	err := p.supervise(inner, s, starting)
	for errors.Is(err, ErrLost) {
		err = p.supervise(inner, s, starting)
	}
	if errors.Is(context.Cause(inner), errReady) {
		s.Events.emit(&p.rec.Spec, "", "Ready", "pod %s is ready", p.Name)
		return p.Refresh(context.WithoutCancel(ctx))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, starting.err(&p.rec.Spec.Spec, context.Cause(ctx)))
	}
	if err != nil {
		return err
	}
	return p.Refresh(ctx)
}

var errReady = errors.New("the pod is ready")

// A starting collects why the containers of a pod are not ready, and passes on their
// crashes. It is safe for concurrent use.
type starting struct {
	notify func(Crash)
	once   bool // a runtime that does not answer is an error

	mu  sync.Mutex
	why map[string]func(cause error) error // by container; cause ended the wait
}

func newStarting(notify func(Crash)) *starting {
	return &starting{notify: notify, why: map[string]func(error) error{}}
}

// crashed is called when the back-off after a crash begins.
func (s *starting) crashed(c Crash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why[c.Container] = func(cause error) error { return fmt.Errorf("%w: %w", cause, c.Err) }
	if s.notify != nil {
		s.notify(c)
	}
}

// began is called when an attempt at a container is watched.
func (s *starting) began(ctr *corev1.Container, why func(error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why[ctr.Name] = why
}

// probed is called with the result of a probe.
func (s *starting) probed(ctr *corev1.Container, r probeResult, why func(error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case isReady(ctr, r):
		delete(s.why, ctr.Name)
	case r.kind != liveness && !r.verdict.Last.OK:
		s.why[ctr.Name] = why
	}
}

// completed is called when a container is complete.
func (s *starting) completed(ctr *corev1.Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.why, ctr.Name)
}

// err returns why the first container in the manifest is not ready.
func (s *starting) err(spec *corev1.PodSpec, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if why := s.why[list[i].Name]; why != nil {
				return why(cause)
			}
		}
	}
	return cause
}
