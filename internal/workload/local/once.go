package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// removeTimeout bounds the removal of pods after an interrupt, beyond their own
// grace periods.
const removeTimeout = 2 * time.Minute

// crashesOfOnce is the number of crashes of a container with restartPolicy Always
// that end the start of a pod. Such a container is not meant to end. The third crash
// is the first after a back-off.
const crashesOfOnce = 3

// startPods creates pods, which end with this process, and waits until they are
// ready. created is called with each pod before its containers start. On an error
// startPods also returns the pods that were created so far.
func startPods(ctx context.Context, e *pod.Engine, specs []pod.PodSpec, events pod.Events, created func(*pod.Pod)) ([]*pod.Pod, error) {
	var pods []*pod.Pod
	for _, spec := range specs {
		spec.Ephemeral = true
		p, err := e.Prepare(ctx, spec, events)
		if err != nil {
			return pods, err
		}
		pods = append(pods, p)
		clone := *p // starting changes p
		created(&clone)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pods {
		group.Go(func() error { return startPod(ctx, p, events) })
	}
	return pods, group.Wait()
}

// startPod starts a pod and waits until it is ready. It gives up when a container
// that must not end crashes again and again.
func startPod(ctx context.Context, p *pod.Pod, events pod.Events) error {
	starting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	spec := p.Spec().Spec
	err := p.Start(starting, pod.Supervision{Events: events, Crashed: func(c pod.Crash) {
		isMain := slices.ContainsFunc(spec.Containers, func(main corev1.Container) bool { return main.Name == c.Container })
		if isMain && spec.RestartPolicy == corev1.RestartPolicyAlways && c.Count >= crashesOfOnce {
			giveUp(&crashedError{c})
		}
	}})
	var crashed *crashedError
	if errors.As(context.Cause(starting), &crashed) {
		return fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, crashed)
	}
	return err
}

// A crashedError is returned for a pod that was given up because it crashed.
type crashedError struct{ crash pod.Crash }

// Error returns the reason of the last crash.
func (e *crashedError) Error() string {
	return fmt.Sprintf("crashed %d times: %v", e.crash.Count, e.crash.Err)
}

// Unwrap returns the reason of the last crash.
func (e *crashedError) Unwrap() error { return e.crash.Err }

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

// StartDetached starts pods, and returns them once all are ready. They outlive this
// process, and a Controller of the same data directory supervises them. If one is not
// ready in time, or the process is killed before, none is left.
func StartDetached(ctx context.Context, e *pod.Engine, specs []pod.PodSpec, ready time.Duration, events pod.Events) ([]*pod.Pod, error) {
	starting, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	pods, err := startPods(starting, e, specs, events, func(*pod.Pod) {})
	if err != nil {
		return nil, errors.Join(err, removePods(e, pods))
	}
	for _, p := range pods {
		if err := p.Release(); err != nil {
			return nil, errors.Join(err, removePods(e, pods))
		}
	}
	return pods, nil
}
