package local

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/pod"
)

// publicText returns a message without the lines of a container's log that it has, and
// without what looks like a secret: not all who read messages may read logs.
func publicText(message string) string {
	var kept []string
	for line := range strings.Lines(message) {
		if line = strings.TrimRight(line, "\n"); !strings.HasPrefix(line, "  | ") { // see pod.ExitError
			kept = append(kept, drift.Redact(line))
		}
	}
	return strings.Join(kept, "\n")
}

// Public returns the status for users who may not read Secrets and logs.
func (s Status) Public() Status {
	s.Reason, s.Waiting = publicText(s.Reason), publicText(s.Waiting)
	s.Instances = slices.Clone(s.Instances)
	for i := range s.Instances {
		s.Instances[i].Message = publicText(s.Instances[i].Message)
	}
	return s
}

// Public returns the history for users who may not read Secrets and logs. Of a generation's
// pod it has the labels and images: any other field may hold a password.
func (h History) Public() History {
	h.Generations = slices.Clone(h.Generations)
	for i := range h.Generations {
		g := &h.Generations[i]
		g.Template = publicTemplate(g.Template)
		g.ConfigMaps, g.Secrets = slices.Clone(g.ConfigMaps), slices.Clone(g.Secrets)
		for n, c := range g.ConfigMaps {
			g.ConfigMaps[n] = corev1.ConfigMap{TypeMeta: c.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: c.Name, Namespace: c.Namespace}}
		}
		for n, s := range g.Secrets {
			g.Secrets[n] = corev1.Secret{TypeMeta: s.TypeMeta, ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace}, Type: s.Type}
		}
	}
	h.Rollouts, h.Events = slices.Clone(h.Rollouts), slices.Clone(h.Events)
	for i := range h.Rollouts {
		h.Rollouts[i].Reason = publicText(h.Rollouts[i].Reason)
	}
	for i := range h.Events {
		h.Events[i].Message = publicText(h.Events[i].Message)
	}
	return h
}

func publicTemplate(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	public := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: t.Labels}}
	for _, c := range t.Spec.InitContainers {
		public.Spec.InitContainers = append(public.Spec.InitContainers, corev1.Container{Name: c.Name, Image: c.Image})
	}
	for _, c := range t.Spec.Containers {
		public.Spec.Containers = append(public.Spec.Containers, corev1.Container{Name: c.Name, Image: c.Image})
	}
	return public
}

// Drift compares the pods with these names, or all of a namespace, with their images. One
// call runs at a time, and pauses for longer than it took before the next: whoever may only
// read must not choose how much of a processor comparisons use.
func (c *Controller) Drift(ctx context.Context, names []string, namespace, container string) ([]inspect.Result, error) {
	select {
	case c.comparing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-c.comparing }()
	if err := clock.Sleep(ctx, time.Until(c.compareAt)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	began := time.Now()
	defer func() { c.compareAt = time.Now().Add(pauseFactor * time.Since(began)) }()
	o := pod.DriftOptions{Namespace: namespace, Container: container, PodsOnly: true}
	if len(names) == 0 {
		return c.engine.Drift(ctx, o)
	}
	return c.engine.DriftOf(ctx, names, o)
}
