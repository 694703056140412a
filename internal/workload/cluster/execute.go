package cluster

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Execute implements rollout.Driver. The Deployment controller creates and removes
// pods: what remains is the trial, and the template that follows it.
func (w *workload) Execute(ctx context.Context, d rollout.Decision) error {
	v, r := w.observed, w.record
	for _, e := range d.Events {
		w.event(ctx, inPods(e, v, r))
	}
	w.askGate(d.Gate)
	if rs := ofGeneration(v.sets, r.Target); rs != nil && r.Apply == w.apply && len(w.config) > 0 && !isGoingBack(r) {
		if err := w.own(ctx, v.deployment, rs); err != nil {
			return err
		}
	}
	if r.Phase != rollout.Progressing {
		return w.deleteTrials(ctx, v)
	}
	if r.Trial == "" || v.trial == nil {
		return nil
	}
	desired, err := w.desired(v, r)
	if err != nil {
		return err
	}
	spec, err := w.spec(desired)
	if err != nil {
		return err
	}
	switch isTried := r.isTried(v); {
	case isTried && spec.Beside(r.State) > 0:
		return w.scaleTrial(ctx, v.trial, spec.Beside(r.State))
	case isTried && !r.Paused:
		o, err := triedObject(v.trial)
		if err != nil {
			return err
		}
		return w.replace(ctx, o)
	case !isTried && isReplaced(v):
		return w.deleteTrials(ctx, v) // its pods helped to serve until now
	}
	return nil
}

// isGoingBack reports whether the target is not the generation that was applied.
func isGoingBack(r record) bool {
	return r.Phase == rollout.RollingBack || r.Phase == rollout.RolledBack
}

// inPods returns an event with the share that a canary really has: traffic goes by the
// number of pods, and the stable generation keeps all of its own.
func inPods(e rollout.Event, v view, r record) rollout.Event {
	if e.Reason != "Step" || v.trial == nil || v.trial.Spec.Replicas == nil {
		return e
	}
	n := int(*v.trial.Spec.Replicas)
	all := n + int(*v.deployment.Spec.Replicas)
	e.Message = fmt.Sprintf("step %d: generation %d has %d of %d pods, %d%% of the traffic", r.Step+1, r.Target, n, all, 100*n/max(all, 1))
	return e
}

func (w *workload) deleteTrials(ctx context.Context, v view) error {
	for _, t := range v.trials {
		if err := w.deleteTrial(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// isReplaced reports whether all pods of a Deployment are of its template and
// available, as kubectl rollout status does.
func isReplaced(v view) bool {
	d := v.deployment
	n := *d.Spec.Replicas
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n
}

func (w *workload) annotateTrial(ctx context.Context, name, manifest string) error {
	patch, err := encoded(map[string]any{"metadata": map[string]any{"annotations": map[string]string{manifestAnnotation: manifest}}})
	if err != nil {
		return err
	}
	if err := w.deployments(w.namespace).patch(ctx, name, types.MergePatchType, []byte(patch)); err != nil {
		return fmt.Errorf("annotate Deployment %s: %w", name, err)
	}
	return nil
}

// event passes an event on, and records it in the cluster as far as the user may:
// kubectl describe shows it then.
func (w *workload) event(ctx context.Context, e rollout.Event) {
	if w.opts.Event != nil {
		w.opts.Event(w.String(), e)
	}
	d, now, kind := w.observed.deployment, metav1.Now(), corev1.EventTypeNormal
	if e.Reason == "RollingBack" || e.Reason == "Failed" {
		kind = corev1.EventTypeWarning
	}
	events := newResource[corev1.Event](w.Cluster, corev1.SchemeGroupVersion, "Event", "events", w.namespace)
	_, err := events.create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: d.Name + ".", Namespace: w.namespace},
		InvolvedObject: corev1.ObjectReference{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Namespace: w.namespace, Name: d.Name, UID: d.UID},
		Type:           kind, Reason: e.Reason, Message: text.Cut(e.Message, maxEvent),
		Source: corev1.EventSource{Component: manager}, ReportingController: manager,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	if err != nil && !apierrors.IsForbidden(err) && ctx.Err() == nil {
		w.report(fmt.Errorf("record the event %s: %w", e.Reason, err))
	}
}

// maxEvent is the API server's limit for the message of an event, in bytes.
const maxEvent = 1024
