package learn

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// maxCrashes is the number of crashes of a container that must not end which end the
// writable run: the third one is the first after a back-off.
const maxCrashes = 3

// start starts a trial's pod and waits until it is ready, or sets the trial's
// Failure. Its containers are restarted as by a kubelet, because they may wait for
// others. But a sealed run fails at the first crash of a container that did not crash
// with a writable root. The error is set if this machine cannot start a container.
func (o Options) start(ctx context.Context, p *pod.Pod, t *trial) error {
	spec := p.Spec().Spec
	starting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var fatal error
	err := p.Start(starting, pod.Supervision{Events: o.forecast.events(&spec), Crashed: func(c pod.Crash) {
		if fatal == nil && o.isFatal(spec, c) {
			fatal = fmt.Errorf("pod %s/%s: %w", p.Namespace, p.Name, c.Err)
			giveUp(fatal)
		}
	}})
	switch {
	case fatal != nil:
		t.Failure = fatal.Error()
		return notAResult(fatal)
	case err != nil:
		t.Failure = err.Error()
		return nil
	}
	t.Healthy = true
	for i := range p.Containers {
		c := &p.Containers[i]
		if t.Retries[c.Name] = c.Restarts; c.Restarts > 0 {
			o.say("  container %s was restarted %d times before the pod was ready", c.Name, c.Restarts)
		}
	}
	return nil
}

// isFatal reports whether a crash ends the start of a trial. Others end it when the
// pod does not get ready in time.
func (o Options) isFatal(spec corev1.PodSpec, c pod.Crash) bool {
	if o.retries != nil && o.retries[c.Container] == 0 {
		return true
	}
	mustRun := spec.RestartPolicy == corev1.RestartPolicyAlways && !c.Init
	return mustRun && c.Count >= maxCrashes
}
