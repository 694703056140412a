package pod

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// podReadiness adds up which of a pod's containers are ready, and tells when
// the pod becomes ready or stops being so. A nil one tells nobody. It is safe
// for concurrent use; it never tells two things at a time.
type podReadiness struct {
	notify func(ready bool, reason string)

	mu      sync.Mutex
	waiting map[string]string // by container: why it is not ready
	ready   bool
	ended   bool // nothing makes it ready any more
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

// set says why a container is not ready; an empty reason says that it is.
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

// end says that the pod is not ready any more, whatever its containers do.
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

// updateReadiness takes what a probe says of a container that runs.
func (w *worker) updateReadiness(ctr *corev1.Container, r probeResult) {
	w.emitReadiness(ctr, r)
	switch {
	case isReady(ctr, r):
		w.readiness.set(ctr.Name, "")
	case r.kind == readiness && r.verdict.Known:
		w.readiness.set(ctr.Name, notReadyReason(ctr, r))
	}
}

// stoppingPoll is how often it is looked whether another process stops a pod.
const stoppingPoll = time.Second

// watchStopping says that the pod is not ready any more when somebody stops or
// removes it: at once if that is this process.
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

// untilNextTick is the time until the next look of so many, which is the same for
// all pods: to wake up costs far more than to look.
func untilNextTick(every time.Duration) time.Duration {
	now := time.Now()
	return now.Truncate(every).Add(every).Sub(now)
}

// notifyStopping has whoever supervises a pod in this process know that it is
// being stopped.
func (e *Engine) notifyStopping(uid string) {
	if stopping, ok := e.stopping.Load(uid); ok {
		select {
		case stopping.(chan struct{}) <- struct{}{}:
		default:
		}
	}
}
