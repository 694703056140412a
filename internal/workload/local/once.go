package local

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/pod"
)

// removeTimeout bounds the removal of pods after an interrupt, beyond their own
// grace periods.
const removeTimeout = 2 * time.Minute

// startPods creates pods and waits until they are ready. Containers that end in error
// meanwhile are restarted. On an error it also returns the pods that were created so
// far.
func startPods(ctx context.Context, e *pod.Engine, specs []pod.PodSpec, events pod.Events) ([]*pod.Pod, error) {
	var pods []*pod.Pod
	for _, spec := range specs {
		spec.RestartsAtStart = true
		p, err := e.Create(ctx, spec, events)
		if err != nil {
			return pods, err
		}
		pods = append(pods, p)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pods {
		group.Go(func() error { return p.WaitReady(ctx, events) })
	}
	return pods, group.Wait()
}

// removePods removes pods. It takes no context: it cleans up after an interrupt.
func removePods(e *pod.Engine, pods []*pod.Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	var group errgroup.Group
	for _, p := range pods {
		group.Go(func() error {
			err := p.Remove(ctx, -1, nil)
			if pod.IsUnavailable(err) && e.Ensure(ctx) == nil {
				err = p.Remove(ctx, -1, nil) // the runtime had been killed
			}
			return err
		})
	}
	return group.Wait()
}

// StartDetached starts pods without a supervisor, and returns them once all are
// ready. If one is not ready in time, it removes all of them.
func StartDetached(ctx context.Context, e *pod.Engine, specs []pod.PodSpec, ready time.Duration, events pod.Events) ([]*pod.Pod, error) {
	starting, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	pods, err := startPods(starting, e, specs, events)
	if err != nil {
		return nil, errors.Join(err, removePods(e, pods))
	}
	for _, p := range pods {
		if err := p.Refresh(context.WithoutCancel(ctx)); err != nil {
			return nil, err
		}
	}
	return pods, nil
}
