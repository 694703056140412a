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

// applyPaused applies a Deployment of a manifest in a paused form, with its new
// template. It returns the ReplicaSet to roll back to, nil if there is none.
func (w *workload) applyPaused(ctx context.Context, o *unstructured.Unstructured) (back *appsv1.ReplicaSet, err error) {
	var give savedSettings
	var spec rollout.Spec
	err = retryOnConflict(func() error {
		before, sets, err := w.current(ctx)
		if err != nil {
			return err
		}
		// A new Deployment is created in the paused form, so it need not be
		// paused before.
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

// rollbackTarget returns the ReplicaSet to roll back to, labeled with its
// generation.
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

// current returns the Deployment and the ReplicaSets that it owns, nil if there
// is no Deployment.
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

// isRecreate reports whether all pods are removed before new ones are created, which
// the Deployment controller can do itself.
func isRecreate(s rollout.Spec) bool { return s.Kind == rollout.Recreate }

// settingsAfter returns the settings that are restored at the end, and how the
// Deployment is replaced. A field that the manifest does not set keeps its
// value.
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
	if _, isSet, _ := unstructured.NestedBool(o.Object, "spec", "paused"); !isSet {
		d.Spec.Paused = was.Paused
	}
	one := int32(1)
	d.Spec.Replicas = cmp.Or(d.Spec.Replicas, &one)
	d.Spec.Strategy = defaulted(d.Spec.Strategy)
	spec, err := w.spec(&d)
	return savedSettings{d.Spec.Strategy, d.Spec.Paused}, spec, err
}

// defaulted sets the defaults of a strategy as the API server does.
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

// recreateStrategy is the strategy of a paused Deployment. With any other, its
// controller scales the ReplicaSets of a paused Deployment in proportion.
var recreateStrategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}

// pause takes the ReplicaSets from the Deployment controller before it sees the
// new template. Server-side apply cannot do this: it would keep a rollingUpdate
// that another client set, which Recreate does not allow.
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

// pausedObject returns a manifest's Deployment in the form that it has during
// its rollout.
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

// start creates the ReplicaSet of the Deployment's template and starts to roll
// it out, unless that is under way.
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
		if back != nil && generation(back) != target { // a rollout of the generation that runs would only remove pods
			s.Stable = generation(back)
		}
		return s.Begin(target, time.Now())
	})
}

// updateState replaces the stored state by the result of f.
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
		// The Deployment already has the target's template, which writeState
		// must not take for a change by another client.
		before.Target = target
		return w.writeState(v, before, after)
	})
}

// target returns the generation of the Deployment's template. It creates the
// ReplicaSet if there is none.
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

// create creates the ReplicaSet of the Deployment's template. If another
// ReplicaSet has the name it increments the collision count, which changes the
// hash at the next try, as the Deployment controller does.
func (w *workload) create(ctx context.Context, d *appsv1.Deployment, sets []*appsv1.ReplicaSet) (*appsv1.ReplicaSet, error) {
	rs := newReplicaSet(d, sets)
	made, err := w.replicaSets(w.namespace).create(ctx, rs)
	if !apierrors.IsAlreadyExists(err) {
		return made, err
	}
	other, getErr := w.replicaSets(w.namespace).get(ctx, rs.Name)
	if getErr != nil || metav1.IsControlledBy(other, d) && sameTemplate(other.Spec.Template, d.Spec.Template) {
		return nil, err // the Deployment controller created it first; the retry finds it
	}
	collisions := *cmp.Or(d.Status.CollisionCount, new(int32)) + 1
	d = d.DeepCopy()
	d.Status.CollisionCount = &collisions
	if updateErr := w.deployments(w.namespace).updateStatus(ctx, d); updateErr != nil {
		return nil, updateErr
	}
	return nil, err
}

// labelGeneration labels a ReplicaSet with its generation and removes its
// annotation desired-replicas; newReplicaSet explains why.
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
