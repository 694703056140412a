package cluster

import (
	"encoding/json"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// The annotations of a Deployment that is rolled out.
const (
	stateAnnotation    = "adamant.sh/rollout"       // rollout.State as JSON
	strategyAnnotation = "adamant.sh/strategy-kept" // savedSettings as JSON, during a rollout
)

// savedSettings are the fields of a Deployment that are restored at the end of
// a rollout.
type savedSettings struct {
	Strategy appsv1.DeploymentStrategy `json:"strategy"`
	Paused   bool                      `json:"paused,omitempty"`
}

// stateOf returns the state that is stored on a Deployment, the zero State if
// there is none.
func stateOf(d *appsv1.Deployment) (rollout.State, error) {
	var s rollout.State
	text := d.Annotations[stateAnnotation]
	if text == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("annotation %s of Deployment %s/%s: %w", stateAnnotation, d.Namespace, d.Name, err)
	}
	return s, nil
}

// settingsOf returns the saved settings if a rollout is under way. The
// annotation alone does not show that: kubectl rollout undo restores old
// annotations.
func settingsOf(d *appsv1.Deployment) (savedSettings, bool) {
	var k savedSettings
	text, isKept := d.Annotations[strategyAnnotation]
	if !isKept || !d.Spec.Paused || json.Unmarshal([]byte(text), &k) != nil {
		return savedSettings{}, false
	}
	return k, true
}

// isPaused reports whether the Deployment controller leaves the ReplicaSets to
// this package.
func isPaused(d *appsv1.Deployment) bool {
	_, held := settingsOf(d)
	return held
}

// restored returns a Deployment as it will be after the rollout.
func restored(d *appsv1.Deployment) *appsv1.Deployment {
	d = d.DeepCopy()
	if k, held := settingsOf(d); held {
		d.Spec.Strategy, d.Spec.Paused = k.Strategy, k.Paused
	}
	return d
}

// encoded returns v as the text of an annotation.
func encoded(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// Update implements rollout.Store. State and template change in one patch: a
// process that continues a rollback must not find the template that failed and
// take it for a new version.
func (w *workload) Update(f func(rollout.Spec, rollout.State) (rollout.State, []rollout.Event)) error {
	return retryOnConflict(func() error {
		v, err := w.read(w.ctx)
		if err != nil {
			return err
		}
		d := v.deployment
		before, err := stateOf(d)
		if err != nil {
			return err
		}
		if before.Stable != 0 && ofGeneration(v.sets, before.Stable) == nil {
			before.Stable = 0 // another client deleted the ReplicaSet
		}
		spec, err := w.spec(restored(d))
		if err != nil {
			return err
		}
		// Execute reports the events.
		after, _ := f(spec, before)
		return w.writeState(v, before, after)
	})
}

// writeState writes a state to the Deployment and, during a rollback, the
// template of the generation that it rolls back to.
func (w *workload) writeState(v view, before, after rollout.State) error {
	text, err := encoded(after)
	if err != nil {
		return err
	}
	d := v.deployment
	target := ofGeneration(v.sets, after.Target)
	if target == nil {
		err := fmt.Errorf("somebody deleted the ReplicaSet of generation %d; apply again", after.Target)
		w.stop(err)
		return err
	}
	var ops []op
	if d.Annotations[stateAnnotation] != text {
		ops = append(ops, annotated(d, stateAnnotation, text))
	}
	switch isSame := sameTemplate(target.Spec.Template, d.Spec.Template); {
	// Only a change of the target, a rollback, changes the template.
	case !isSame && after.Target == before.Target:
		w.stop(errTakenOver)
		return errTakenOver
	case !isSame:
		ops = append(ops, op{"replace", "/spec/template", withoutHash(target.Spec.Template)})
	}
	if len(ops) == 0 {
		return nil
	}
	return w.patch(w.ctx, d, ops...)
}

// errTakenOver ends a rollout whose Deployment was given another template.
var errTakenOver = errors.New("somebody else changed the pod template while it was rolled out; apply again to go on with one of them")

// annotated returns the operation that sets an annotation, or removes it if the
// text is empty.
func annotated(d *appsv1.Deployment, name, text string) op {
	all := withEntry(d.Annotations, name, text)
	if text == "" {
		delete(all, name)
	}
	return op{"add", "/metadata/annotations", all}
}
