package cluster

import (
	"cmp"
	"context"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// applyPaused hands a Deployment of a manifest to the cluster, held, with its new
// template, and returns what may be gone back to: nil if nothing.
func (w *workload) applyPaused(ctx context.Context, o *unstructured.Unstructured) (back *appsv1.ReplicaSet, err error) {
	var give savedSettings
	var spec rollout.Spec
	err = retryOnConflict(func() error {
		before, sets, err := w.current(ctx)
		if err != nil {
			return err
		}
		if give, spec, err = w.settingsAfter(o, before); err != nil || before == nil {
			return err
		}
		if back, err = w.rollbackTarget(ctx, before, sets); err != nil {
			return err
		}
		return w.pause(ctx, before, give, isRecreate(spec))
	})
	if err != nil {
		return nil, err
	}
	if spec.Kind == rollout.Canary || spec.Kind == rollout.BlueGreen {
		w.event(rollout.Event{Reason: "SharesIgnored", Message: "traffic goes by the number of pods: a Service knows no shares"})
	}
	held, err := pausedObject(o, give, isRecreate(spec))
	if err != nil {
		return nil, err
	}
	return back, w.apply(ctx, held)
}

// rollbackTarget is the ReplicaSet to go back to, with its generation written on it.
func (w *workload) rollbackTarget(ctx context.Context, d *appsv1.Deployment, sets []*appsv1.ReplicaSet) (*appsv1.ReplicaSet, error) {
	last, err := stateOf(d)
	if err != nil {
		return nil, err
	}
	rs := stable(last.Stable, sets)
	if rs == nil {
		return nil, nil
	}
	return rs, w.labelGeneration(ctx, rs, generation(rs))
}

// current is the Deployment as it was, nil if there was none, and what it owns.
func (w *workload) current(ctx context.Context) (*appsv1.Deployment, []*appsv1.ReplicaSet, error) {
	d, err := w.deployments(w.namespace).get(ctx, w.name)
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	sets, err := w.owned(ctx, d)
	return d, sets, err
}

// isRecreate reports whether the Deployment controller can do a rollout itself: if
// all pods go before new ones come.
func isRecreate(s rollout.Spec) bool { return s.Kind == rollout.Recreate }

// settingsAfter is what the Deployment is given back at the end: what the manifest
// says, and what it leaves out as it was before; and how it is to be replaced.
func (w *workload) settingsAfter(o *unstructured.Unstructured, before *appsv1.Deployment) (savedSettings, rollout.Spec, error) {
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &d); err != nil {
		return savedSettings{}, rollout.Spec{}, err
	}
	was := savedSettings{Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}}
	if before != nil {
		r := restored(before)
		was = savedSettings{r.Spec.Strategy, r.Spec.Paused}
		d.Spec.Replicas = cmp.Or(d.Spec.Replicas, r.Spec.Replicas)
	}
	if d.Spec.Strategy.Type == "" {
		d.Spec.Strategy = was.Strategy
	}
	if _, says, _ := unstructured.NestedBool(o.Object, "spec", "paused"); !says {
		d.Spec.Paused = was.Paused
	}
	one := int32(1)
	d.Spec.Replicas = cmp.Or(d.Spec.Replicas, &one)
	d.Spec.Strategy = defaulted(d.Spec.Strategy)
	spec, err := w.spec(&d)
	return savedSettings{d.Spec.Strategy, d.Spec.Paused}, spec, err
}

// defaulted has a strategy's defaults, as an API server sets them.
func defaulted(s appsv1.DeploymentStrategy) appsv1.DeploymentStrategy {
	if s.Type == appsv1.RecreateDeploymentStrategyType {
		return appsv1.DeploymentStrategy{Type: s.Type}
	}
	quarter := intstr.FromString("25%")
	r := appsv1.RollingUpdateDeployment{MaxUnavailable: &quarter, MaxSurge: &quarter}
	if s.RollingUpdate != nil {
		r.MaxUnavailable = cmp.Or(s.RollingUpdate.MaxUnavailable, r.MaxUnavailable)
		r.MaxSurge = cmp.Or(s.RollingUpdate.MaxSurge, r.MaxSurge)
	}
	return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &r}
}

// recreateStrategy is the strategy of a Deployment while it is held: a paused Deployment
// with another is scaled in proportion by its controller.
var recreateStrategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}

// pause takes the ReplicaSets from the Deployment controller before it sees the
// new template. Server-side apply cannot do this: it leaves the parameters of a
// rolling update, which Recreate may not have, to whoever set them.
func (w *workload) pause(ctx context.Context, d *appsv1.Deployment, give savedSettings, plain bool) error {
	ops := []op{{"add", "/spec/strategy", recreateStrategy}}
	if plain {
		ops = append(ops, annotated(d, strategyAnnotation, ""), op{"add", "/spec/paused", give.Paused})
	} else {
		text, err := encoded(give)
		if err != nil {
			return err
		}
		ops = append(ops, annotated(d, strategyAnnotation, text), op{"add", "/spec/paused", true})
	}
	return w.patch(ctx, d, ops...)
}

// pausedObject is the manifest's object as it stands in the cluster while it is
// rolled out.
func pausedObject(o *unstructured.Unstructured, give savedSettings, plain bool) (*unstructured.Unstructured, error) {
	o = o.DeepCopy()
	text, err := encoded(give)
	if err != nil {
		return nil, err
	}
	annotations := o.GetAnnotations()
	if !plain {
		annotations = withEntry(annotations, strategyAnnotation, text)
	}
	o.SetAnnotations(annotations)
	if err := unstructured.SetNestedMap(o.Object, map[string]any{"type": string(recreateStrategy.Type)}, "spec", "strategy"); err != nil {
		return nil, err
	}
	return o, unstructured.SetNestedField(o.Object, give.Paused || !plain, "spec", "paused")
}

// start makes the ReplicaSet of the Deployment's template and begins to roll it
// out, unless that is under way already.
func (w *workload) start(ctx context.Context, back *appsv1.ReplicaSet) error {
	target, err := w.target(ctx)
	if err != nil {
		return err
	}
	return w.updateState(target, func(s rollout.State) rollout.State {
		if s.Target == target && !s.Phase.Ended() {
			return s
		}
		s.Stable = 0
		if back != nil && generation(back) != target { // a canary of what runs already would only take pods away
			s.Stable = generation(back)
		}
		return s.Begin(target, time.Now())
	})
}

// updateState keeps the state that f makes of the one that is kept.
func (w *workload) updateState(target int, f func(rollout.State) rollout.State) error {
	return retryOnConflict(func() error {
		v, err := w.read(w.ctx)
		if err != nil {
			return err
		}
		before, err := stateOf(v.deployment)
		if err != nil {
			return err
		}
		after := f(before)
		before.Target = target
		return w.writeState(v, before, after)
	})
}

// target is the generation of the Deployment's template. Its ReplicaSet is made
// if there is none.
func (w *workload) target(ctx context.Context) (int, error) {
	n := 0
	err := retryOnConflict(func() error {
		d, sets, err := w.current(ctx)
		if err != nil {
			return err
		}
		if d == nil {
			return apierrors.NewNotFound(appsv1.Resource("deployments"), w.name)
		}
		rs := matching(d, sets)
		if rs == nil {
			if rs, err = w.create(ctx, d, sets); err != nil {
				return err
			}
		}
		n = generation(rs)
		return w.labelGeneration(ctx, rs, n)
	})
	return n, err
}

// create makes the ReplicaSet of the Deployment's template. If there is another
// of the name, the hash is changed for the next time, as the Deployment
// controller does it.
func (w *workload) create(ctx context.Context, d *appsv1.Deployment, sets []*appsv1.ReplicaSet) (*appsv1.ReplicaSet, error) {
	rs := newReplicaSet(d, sets)
	made, err := w.replicaSets(w.namespace).create(ctx, rs)
	if !apierrors.IsAlreadyExists(err) {
		return made, err
	}
	other, getErr := w.replicaSets(w.namespace).get(ctx, rs.Name)
	if getErr != nil || metav1.IsControlledBy(other, d) && sameTemplate(other.Spec.Template, d.Spec.Template) {
		return nil, err // the Deployment controller was faster
	}
	collisions := *cmp.Or(d.Status.CollisionCount, new(int32)) + 1
	d = d.DeepCopy()
	d.Status.CollisionCount = &collisions
	if updateErr := w.deployments(w.namespace).updateStatus(ctx, d); updateErr != nil {
		return nil, updateErr
	}
	return nil, err
}

// labelGeneration writes a ReplicaSet's generation on it and, so that its being available
// does not make the Deployment controller remove all others, takes the desired
// replicas from it; see newReplicaSet.
func (w *workload) labelGeneration(ctx context.Context, rs *appsv1.ReplicaSet, n int) error {
	return retryOnConflict(func() error {
		now, err := w.replicaSets(w.namespace).get(ctx, rs.Name)
		if err != nil {
			return err
		}
		ops := []op{{"add", "/metadata/labels", withEntry(now.Labels, generationLabel, strconv.Itoa(n))}}
		if _, ok := now.Annotations[desiredAnnotation]; ok {
			ops = append(ops, op{Op: "remove", Path: "/metadata/annotations/deployment.kubernetes.io~1desired-replicas"})
		}
		return w.patchSet(ctx, now, ops...)
	})
}
