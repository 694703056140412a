package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// begin begins to roll out a Deployment of a manifest, or continues to. Each write
// leaves an ordinary Deployment: a trial that has no pods yet, then a record, then
// the new template.
func (w *workload) begin(ctx context.Context, o *unstructured.Unstructured) error {
	w.apply = rand.Text()
	v, err := w.readIfAny(ctx)
	if err != nil {
		return err
	}
	if v.deployment != nil {
		if err := retryOnConflict(func() error {
			d, err := w.deployments(w.namespace).get(ctx, w.name)
			if err != nil {
				return err
			}
			return w.reclaim(ctx, d)
		}); err != nil {
			return err
		}
	}
	// The server sets the defaults of the fields, and keeps those that the manifest
	// does not set.
	d, err := typed[appsv1.Deployment](w.serverSide(ctx, o, request{force: w.opts.Force, dryRun: true}))
	if err != nil {
		return err
	}
	spec, err := w.spec(d)
	if err != nil {
		return err
	}
	if err := checkKind(d, spec.Kind); err != nil {
		return err
	}
	w.isHeld = d.Spec.Paused && hasField(o, "spec", "paused")
	if err := w.configure(ctx, v.deployment); err != nil {
		return err
	}
	if v.deployment == nil {
		return w.beginFirst(ctx, o)
	}
	was, err := recordOf(v.deployment)
	if err != nil {
		return err
	}
	if was, err = located(v, was); err != nil {
		was.Phase = "" // others have changed the template since: the record is of no rollout under way
	}
	p, err := w.plan(v, was, d, spec)
	if err != nil {
		return err
	}
	return w.carryOut(ctx, o, d, v, p)
}

// A plan is how a rollout begins.
type plan struct {
	record   record
	kind     rollout.Kind
	restores bool // the stable generation's template is restored first
	isNew    bool // the rollout is not under way
}

// plan returns how the rollout of d begins. was is the record of the rollout before.
func (w *workload) plan(v view, was record, d *appsv1.Deployment, spec rollout.Spec) (plan, error) {
	digest, err := digestOf(d.Spec.Template)
	if err != nil {
		return plan{}, err
	}
	target := nextGeneration(v.sets)
	if rs := matching(d, v.sets); rs != nil {
		target = generation(rs)
	}
	p := plan{record: was, kind: spec.Kind}
	p.record.Apply = w.apply
	isSame := was.Target == target && (was.Template == "" || was.Template == digest)
	if was.Phase == rollout.Progressing && isSame && (!was.isTried(v) || v.trial != nil) {
		return p, nil
	}
	p.isNew = true
	p.record.Stable, p.record.Trial = 0, ""
	back := stable(was.Stable, v.sets)
	if back != nil && generation(back) != target { // a rollout of the generation that runs only removes pods
		p.record.Stable = generation(back)
	}
	p.record.State = p.record.Begin(target, time.Now())
	p.record.Template = digest
	if spec.Beside(p.record.State) > 0 && !w.isHeld { // a manifest that is paused tries nothing either
		p.record.Trial = trialName(w.name, spec.Kind)
		p.restores = !sameTemplate(back.Spec.Template, v.deployment.Spec.Template)
	}
	return p, nil
}

func (w *workload) carryOut(ctx context.Context, o *unstructured.Unstructured, d *appsv1.Deployment, v view, p plan) error {
	if p.isNew {
		if err := w.removeTrials(ctx, v.trials); err != nil {
			return err
		}
		if p.record.Trial != "" {
			t, err := w.newTrial(ctx, o, d, v.deployment, p.record.Trial, p.kind, p.record.Target)
			if err != nil {
				return err
			}
			if _, err := w.deployments(w.namespace).create(ctx, t); err != nil {
				return fmt.Errorf("create Deployment %s: %w", t.Name, err)
			}
		}
	} else if p.record.isTried(v) {
		text, err := encoded(o.Object)
		if err != nil {
			return err
		}
		if err := w.annotateTrial(ctx, v.trial.Name, text); err != nil {
			return err
		}
	}
	err := retryOnConflict(func() error {
		now, err := w.deployments(w.namespace).get(ctx, w.name)
		if err != nil {
			return err
		}
		var ops []op
		if p.restores {
			if ops, err = restore(view{deployment: now, sets: v.sets}, p.record.Stable); err != nil {
				return err
			}
		}
		return w.write(ctx, now, p.record, ops...)
	})
	if err != nil {
		return err
	}
	w.record = p.record
	if p.record.Trial != "" && (p.isNew || p.record.isTried(v)) {
		return nil
	}
	return w.replace(ctx, o)
}

// replace applies a Deployment of a manifest, whose template its controller then
// rolls out, unless another apply has begun meanwhile.
func (w *workload) replace(ctx context.Context, o *unstructured.Unstructured) error {
	o = o.DeepCopy()
	return retryOnConflict(func() error {
		d, err := w.deployments(w.namespace).get(ctx, w.name)
		if err != nil {
			return err
		}
		r, err := recordOf(d)
		if err != nil {
			return err
		}
		if r.Apply != w.apply {
			w.stop(errOvertaken)
			return errOvertaken
		}
		o.SetResourceVersion(d.ResourceVersion)
		_, err = w.serverSide(ctx, o, request{force: w.opts.Force})
		return err
	})
}

// beginFirst creates the Deployment. There is nothing to go back to.
func (w *workload) beginFirst(ctx context.Context, o *unstructured.Unstructured) error {
	d, err := typed[appsv1.Deployment](w.serverSide(ctx, o, request{force: w.opts.Force}))
	if err != nil {
		return err
	}
	digest, err := digestOf(d.Spec.Template)
	if err != nil {
		return err
	}
	w.record = record{State: rollout.State{}.Begin(1, time.Now()), Apply: w.apply, Template: digest}
	return retryOnConflict(func() error {
		now, err := w.deployments(w.namespace).get(ctx, w.name)
		if err != nil {
			return err
		}
		return w.write(ctx, now, w.record)
	})
}

// readIfAny is read, with an empty view if there is no Deployment.
func (w *workload) readIfAny(ctx context.Context) (view, error) {
	_, err := w.deployments(w.namespace).get(ctx, w.name)
	if apierrors.IsNotFound(err) {
		return view{}, nil
	}
	if err != nil {
		return view{}, err
	}
	return w.read(ctx)
}

// checkKind returns an error if the annotation and the Deployment's own strategy
// differ in a way that only Adamant could carry out.
func checkKind(d *appsv1.Deployment, kind rollout.Kind) error {
	own := rollout.Kind(d.Spec.Strategy.Type)
	if kind != own && (kind == rollout.Recreate || kind == rollout.RollingUpdate) {
		return fmt.Errorf("annotation %s: %q: in a cluster the Deployment's own strategy replaces its pods; set spec.strategy.type", rollout.AnnotationStrategy, kind)
	}
	return nil
}

func hasField(o *unstructured.Unstructured, path ...string) bool {
	_, ok, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	return ok && err == nil
}
