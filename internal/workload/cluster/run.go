package cluster

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// run starts a rollout, drives it to its end and releases the Deployment to its
// controller.
func (w *workload) run(ctx context.Context, begin func(context.Context) error) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	// Deferred functions run in reverse order: the gates are canceled before
	// they are waited for.
	defer w.gates.Wait()
	defer cancel(nil)
	w.ctx, w.stop = ctx, func(err error) { cancel(err) }
	r := Result{Namespace: w.namespace, Name: w.name}
	if err := begin(ctx); err != nil {
		return r, errors.Join(err, context.Cause(ctx))
	}
	var last rollout.State
	loop := rollout.Loop{Driver: w, Store: w, Interval: cmp.Or(w.opts.Interval, 500*time.Millisecond), Report: w.report}
	err := loop.Run(ctx, func(s rollout.State) bool {
		last = s
		return s.Phase.Ended()
	})
	r.Phase, r.Reason, r.Generation = last.Phase, last.Reason, last.Target
	if err != nil {
		return r, err
	}
	r.Unchecked = w.unchecked(last.Target)
	return r, w.release(ctx, last.Target)
}

// unchecked returns the pods of a generation that may have drifted and were not
// compared.
func (w *workload) unchecked(n int) []string {
	var names []string
	rs := ofGeneration(w.observed.sets, n)
	if rs == nil {
		return nil
	}
	for _, p := range w.observed.pods[rs.UID] {
		if d := w.drift(w.ctx, p); d == rollout.Unchecked || d == rollout.Unknown {
			names = append(names, p.Name)
		}
	}
	return names
}

// release restores the Deployment's settings. Its controller takes over the
// target's ReplicaSet and finds nothing to do.
func (w *workload) release(ctx context.Context, target int) error {
	return retryOnConflict(func() error {
		d, sets, err := w.current(ctx)
		if err != nil || d == nil {
			return err
		}
		k, held := settingsOf(d)
		if !held {
			return nil
		}
		// The annotations come first. Once the Deployment is released, its
		// controller would act on those that are missing.
		if rs := ofGeneration(sets, target); rs != nil {
			if err := w.annotateComplete(ctx, rs, restored(d)); err != nil {
				return err
			}
		}
		return w.patch(ctx, d,
			annotated(d, strategyAnnotation, ""), op{"replace", "/spec/strategy", k.Strategy}, op{"replace", "/spec/paused", k.Paused})
	})
}

// annotateComplete sets the annotations that the Deployment controller would
// have set on a ReplicaSet by now.
func (w *workload) annotateComplete(ctx context.Context, rs *appsv1.ReplicaSet, d *appsv1.Deployment) error {
	return retryOnConflict(func() error {
		now, err := w.replicaSets(w.namespace).get(ctx, rs.Name)
		if err != nil {
			return err
		}
		want := int(*d.Spec.Replicas)
		surge := 0
		if r := d.Spec.Strategy.RollingUpdate; r != nil {
			surge, _ = intstr.GetScaledValueFromIntOrPercent(r.MaxSurge, want, true) // validated by the server
		}
		all := withEntry(now.Annotations, desiredAnnotation, strconv.Itoa(want))
		all[maxAnnotation] = strconv.Itoa(want + surge)
		delete(all, strategyAnnotation) // copied by the Deployment controller
		return w.patchSet(ctx, now, op{"add", "/metadata/annotations", all})
	})
}
