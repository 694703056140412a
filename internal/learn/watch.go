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
	ctx    context.Context // ends with the pod's health, or with the pod
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when supervision has ended

	mu    sync.Mutex
	probe map[string]string // by container: last message of its failing probe
	ready map[string]string // by container: why it is not ready
}

var (
	errCompleted = errors.New("the pod completed")
	errEnded     = errors.New("it did not stay up under load")
	errEnough    = errors.New("the load is over")
)

// watch starts to supervise a pod. The caller must call end.
func (o Options) watch(ctx context.Context, p *pod.Pod) *watch {
	w := &watch{done: make(chan struct{}), probe: map[string]string{}, ready: map[string]string{}}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	own := *p // supervising refreshes it
	go func() {
		defer close(w.done)
		err := own.Supervise(w.ctx, pod.Supervision{Events: w.hear})
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

func joined(lines map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(": " + lines[name])
	}
	return b.String()
}
