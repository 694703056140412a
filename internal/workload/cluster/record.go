package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// The annotations and the label of the objects that Adamant creates and changes.
const (
	recordAnnotation     = "adamant.sh/rollout"    // of a Deployment: a record as JSON
	manifestAnnotation   = "adamant.sh/manifest"   // of a trial: the Deployment that is tried, as JSON
	generationAnnotation = "adamant.sh/generation" // of a trial: the generation that is tried
	trialLabel           = "adamant.sh/trial"      // of a trial and its pods: the name of the trial
)

// A record is what a later process must know about the latest rollout of a
// Deployment. Nothing in the cluster acts by it.
type record struct {
	rollout.State
	Apply    string `json:"apply,omitempty"`    // identifies the apply that began the rollout
	Template string `json:"template,omitempty"` // digest of the target's template, until that has a ReplicaSet
	Trial    string `json:"trial,omitempty"`    // name of the Deployment that runs the target beside this one
}

// recordOf returns the record of a Deployment, the zero record if there is none.
func recordOf(d *appsv1.Deployment) (record, error) {
	var r record
	text := d.Annotations[recordAnnotation]
	if text == "" {
		return r, nil
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("annotation %s of Deployment %s/%s: %w", recordAnnotation, d.Namespace, d.Name, err)
	}
	return r, nil
}

// encoded returns v as the text of an annotation.
func encoded(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// digestOf identifies a pod template as the server stores it.
func digestOf(t corev1.PodTemplateSpec) (string, error) {
	data, err := json.Marshal(withoutHash(t))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}

// errTakenOver ends a rollout whose Deployment was given another template by
// another client, such as kubectl.
var errTakenOver = errors.New("somebody else changed the pod template while it was rolled out")

// errOvertaken ends a rollout after another apply.
var errOvertaken = errors.New("another apply replaced it while it was rolled out")

// located returns the record with the generation of its target's ReplicaSet. The
// error is errTakenOver if the Deployment's template is not of this rollout:
// kubectl rollout undo, for example, restores the annotation of an older one.
func located(v view, r record) (record, error) {
	if r.Target == 0 || r.Phase.Ended() {
		return r, nil
	}
	found := matching(v.deployment, v.sets)
	if found != nil && generation(found) == r.Target {
		r.Template = ""
		return r, nil
	}
	if r.Trial != "" && found != nil && generation(found) == r.Stable {
		return r, nil // the target is tried beside it
	}
	digest, err := digestOf(v.deployment.Spec.Template)
	if err != nil {
		return r, err
	}
	if r.Template == "" || digest != r.Template {
		return r, errTakenOver
	}
	if found != nil {
		r.Target, r.Template = generation(found), ""
	}
	return r, nil
}

// isTried reports whether the target runs only beside the Deployment, which
// still has the template of the stable generation.
func (r record) isTried(v view) bool {
	found := matching(v.deployment, v.sets)
	return r.Trial != "" && r.Phase == rollout.Progressing && found != nil && generation(found) == r.Stable
}

// Update implements rollout.Store. Record and template change in one patch: a
// process that continues a rollback must not find the template that failed and
// take it for a new version.
func (w *workload) Update(f func(rollout.Spec, rollout.State) (rollout.State, []rollout.Event)) error {
	return w.update(func(v view, r record) (rollout.State, error) {
		d, err := w.desired(v, r)
		if err != nil {
			return r.State, err
		}
		spec, err := w.spec(d)
		if err != nil {
			return r.State, err
		}
		after, _ := f(spec, r.State) // Execute reports the events
		return after, nil
	})
}

// update replaces the state of a rollout by the result of f. It stops the rollout
// if that is no longer the one of this workload.
func (w *workload) update(f func(view, record) (rollout.State, error)) error {
	return retryOnConflict(func() error {
		v, err := w.read(w.ctx)
		if err != nil {
			return err
		}
		before, err := recordOf(v.deployment)
		if err != nil {
			return err
		}
		if w.apply != "" && before.Apply != w.apply {
			w.stop(errOvertaken)
			return errOvertaken
		}
		after, err := located(v, before)
		if err != nil {
			w.stop(err)
			return err
		}
		if after.Stable != 0 && ofGeneration(v.sets, after.Stable) == nil {
			after.Stable = 0 // another client deleted the ReplicaSet
		}
		// A Deployment that is rolled out is held by its own field, so that anybody
		// can hold and resume it. A trial needs nothing to be held.
		wasTried := after.isTried(v)
		after.Paused = v.deployment.Spec.Paused || wasTried && after.Paused
		target, paused := after.Target, after.Paused
		if after.State, err = f(v, after); err != nil {
			return err
		}
		var ops []op
		if after.Target != target {
			if ops, err = restore(v, after.Target); err != nil {
				w.stop(err)
				return err
			}
		}
		if after.Paused != paused && !wasTried {
			ops = append(ops, op{"add", "/spec/paused", after.Paused})
		}
		w.record = after
		return w.write(w.ctx, v.deployment, after, ops...)
	})
}

// restore returns the operations that give the Deployment the template of a
// generation.
func restore(v view, generation int) ([]op, error) {
	rs := ofGeneration(v.sets, generation)
	if rs == nil {
		return nil, fmt.Errorf("somebody deleted the ReplicaSet of generation %d; apply again", generation)
	}
	if sameTemplate(rs.Spec.Template, v.deployment.Spec.Template) {
		return nil, nil
	}
	return []op{{"replace", "/spec/template", withoutHash(rs.Spec.Template)}}, nil
}

// write writes a record, and more operations with it, to the version of the
// Deployment that was read.
func (w *workload) write(ctx context.Context, d *appsv1.Deployment, r record, more ...op) error {
	text, err := encoded(r)
	if err != nil {
		return err
	}
	if d.Annotations[recordAnnotation] != text {
		more = append(more, op{"add", "/metadata/annotations", withEntry(d.Annotations, recordAnnotation, text)})
	}
	if len(more) == 0 {
		return nil
	}
	return w.patch(ctx, d, more...)
}

// desired returns the Deployment that is rolled out: during a trial the one that
// is tried, otherwise the Deployment itself.
func (w *workload) desired(v view, r record) (*appsv1.Deployment, error) {
	if v.trial == nil || !r.isTried(v) {
		return v.deployment, nil
	}
	o, err := triedObject(v.trial)
	if err != nil {
		return nil, err
	}
	d, err := typed[appsv1.Deployment](o, nil)
	if err != nil {
		return nil, err
	}
	if d.Spec.Replicas == nil {
		d.Spec.Replicas = v.deployment.Spec.Replicas
	}
	return d, nil
}
