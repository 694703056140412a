package pod

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// podReadiness tracks which containers of a pod are ready, and calls notify when
// the pod becomes ready or stops being ready. A nil one does nothing. It is safe
// for concurrent use, and calls of notify do not overlap.
type podReadiness struct {
	notify func(ready bool, reason string)

	mu      sync.Mutex
	waiting map[string]string // by container: why it is not ready
	ready   bool
	ended   bool // it does not become ready again
}

func newPodReadiness(spec *corev1.PodSpec, tell func(ready bool, reason string)) *podReadiness {
	if tell == nil {
		return nil
	}
	r := &podReadiness{notify: tell, waiting: map[string]string{}}
	for _, c := range translate.LongRunning(spec) {
		r.waiting[c.Name] = fmt.Sprintf("container %s is not ready yet", c.Name)
	}
	return r
}

// assume makes the pod ready without a call of notify.
func (r *podReadiness) assume() {
	if r != nil {
		r.waiting, r.ready = map[string]string{}, true
	}
}

// set records the reason why a container is not ready, or that it is ready if the
// reason is empty.
func (r *podReadiness) set(container, reason string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason == "" {
		delete(r.waiting, container)
	} else {
		r.waiting[container] = reason
	}
	r.update(len(r.waiting) == 0 && !r.ended, reason)
}

// end marks the pod as not ready for good.
func (r *podReadiness) end(reason string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.update(false, reason)
}

func (r *podReadiness) update(ready bool, reason string) {
	if r.ready != ready {
		r.ready = ready
		r.notify(ready, reason)
	}
}

// updateReadiness records the result of a probe.
func (w *worker) updateReadiness(ctr *corev1.Container, r probeResult) {
	w.emitReadiness(ctr, r)
	switch {
	case isReady(ctr, r):
		w.readiness.set(ctr.Name, "")
	case r.kind == readiness && r.verdict.Known:
		w.readiness.set(ctr.Name, notReadyReason(ctr, r))
	}
}

// stoppingPoll is the interval at which watchStopping checks whether another
// process stops the pod.
const stoppingPoll = time.Second

// watchStopping marks the pod as not ready when it is stopped or removed. If this
// process does that, notifyStopping makes it immediate.
func (w *worker) watchStopping(ctx context.Context) {
	if w.readiness == nil {
		return
	}
	stopping := make(chan struct{}, 1)
	w.e.stopping.Store(w.l.UID, stopping)
	defer w.e.stopping.Delete(w.l.UID)
	tick := time.NewTimer(untilNextTick(stoppingPoll))
	defer tick.Stop()
	for gone := false; !gone; {
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			gone = true
		case <-tick.C:
			gone = w.l.isStopping()
			tick.Reset(untilNextTick(stoppingPoll))
		}
	}
	w.readiness.end("it is being stopped")
}

// untilNextTick returns the time until the next multiple of an interval. All pods
// are checked at the same moment, because waking up costs far more than checking.
func untilNextTick(every time.Duration) time.Duration {
	now := time.Now()
	return now.Truncate(every).Add(every).Sub(now)
}

// notifyStopping tells the supervisor of a pod in this process that the pod is
// being stopped.
func (e *Engine) notifyStopping(uid string) {
	if stopping, ok := e.stopping.Load(uid); ok {
		select {
		case stopping.(chan struct{}) <- struct{}{}:
		default:
		}
	}
}
