package learn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/pod"
)

// A watch supervises the pod of a trial under load as a kubelet does: it runs the
// probes and enforces the limits of volumes.
type watch struct {
	parent context.Context // of ctx
	ctx    context.Context // ends with the pod's health, or with the pod
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when supervision has ended

	mu    sync.Mutex
	probe map[string]string // by container: last message of its failing probe
	ready map[string]string // by container: why it is not ready
	times int               // the pod became ready
	turn  chan struct{}     // closed when the pod becomes ready the next time
}

var (
	errCompleted = errors.New("the pod completed")
	errEnded     = errors.New("it did not stay up under load")
	errEnough    = errors.New("the load is over")
)

// watch starts to supervise a pod. The caller must call end.
func (o Options) watch(ctx context.Context, p *pod.Pod) *watch {
	w := &watch{parent: ctx, done: make(chan struct{}), probe: map[string]string{}, ready: map[string]string{}, turn: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	own := *p // supervising refreshes it
	go func() {
		defer close(w.done)
		err := own.Supervise(w.ctx, pod.Supervision{Events: w.hear, Ready: w.becomes})
		if err == nil {
			err = errCompleted
		}
		w.cancel(err)
	}()
	return w
}

// hear ends the trial when a container ended that would be restarted, because a
// workload that needs restarts does not work.
func (w *watch) hear(e pod.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Reason {
	case "BackOff":
		w.cancel(errEnded)
	case "Unhealthy":
		w.probe[e.Container] = e.Message
	case "NotReady":
		w.ready[e.Container] = e.Message
	case "Ready":
		delete(w.ready, e.Container)
	}
}

// becomes counts how often the pod became ready.
func (w *watch) becomes(ready bool, _ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ready {
		w.times++
		close(w.turn)
		w.turn = make(chan struct{})
	}
}

// readyTimes returns how often the pod became ready, and a channel that is closed
// when it does so again.
func (w *watch) readyTimes() (int, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times, w.turn
}

// waitReady waits until the pod has become ready at least n times. It returns false
// when ctx or the watch ends first.
func (w *watch) waitReady(ctx context.Context, n int) bool {
	for {
		times, turn := w.readyTimes()
		if times >= n {
			return true
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return false
		case <-w.ctx.Done():
			return false
		}
	}
}

// probesFailed reports whether a probe of a container failed since the watch began.
func (w *watch) probesFailed(container string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, failed := w.probe[container]
	return failed
}

// wait waits until the pod ended, and reports whether it did in time.
func (w *watch) wait(limit time.Duration) bool {
	select {
	case <-w.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// end stops supervising, and returns the pod's fault, if any.
func (w *watch) end() error {
	w.cancel(errEnough)
	<-w.done
	cause := context.Cause(w.ctx)
	switch {
	case errors.Is(cause, errCompleted), errors.Is(cause, context.Canceled):
		return nil
	case !errors.Is(cause, errEnough) && !errors.Is(cause, errEnded):
		return cause
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(cause, errEnded) {
		return fmt.Errorf("%w%s", cause, joined(w.probe))
	}
	if len(w.ready) > 0 {
		return fmt.Errorf("not ready after the load%s", joined(w.ready))
	}
	return nil
}

// complaints returns the messages of the probes that fail.
func (w *watch) complaints() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ready) > 0 {
		return joined(w.ready)
	}
	return joined(w.probe)
}

func joined(lines map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(": " + lines[name])
	}
	return b.String()
}
