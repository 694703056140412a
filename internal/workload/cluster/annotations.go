package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// The annotations of a Deployment that is rolled out.
const (
	stateAnnotation    = "adamant.sh/rollout"       // rollout.State as JSON
	strategyAnnotation = "adamant.sh/strategy-kept" // a kept as JSON, while the rollout is under way
)

// savedSettings is what a Deployment is given back at the end of a rollout.
type savedSettings struct {
	Strategy appsv1.DeploymentStrategy `json:"strategy"`
	Paused   bool                      `json:"paused,omitempty"`
}

// stateOf is the state that is kept on a Deployment; that of one that never was
// rolled out by us if there is none.
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

// settingsOf is what a Deployment will be given back, if a rollout is under way. The
// annotation alone does not tell: kubectl rollout undo brings old ones back.
func settingsOf(d *appsv1.Deployment) (savedSettings, bool) {
	var k savedSettings
	text, isKept := d.Annotations[strategyAnnotation]
	if !isKept || !d.Spec.Paused || json.Unmarshal([]byte(text), &k) != nil {
		return savedSettings{}, false
	}
	return k, true
}

// isPaused reports whether the Deployment controller leaves the ReplicaSets to us.
func isPaused(d *appsv1.Deployment) bool {
	_, held := settingsOf(d)
	return held
}

// restored is a Deployment as it will be after the rollout.
func restored(d *appsv1.Deployment) *appsv1.Deployment {
	d = d.DeepCopy()
	if k, held := settingsOf(d); held {
		d.Spec.Strategy, d.Spec.Paused = k.Strategy, k.Paused
	}
	return d
}

// encoded is v as the text of an annotation.
func encoded(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// Update implements rollout.Book. State and template are changed at once: who
// goes back must not be found with the template that failed.
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
			before.Stable = 0 // somebody deleted it: there is nothing to go back to
		}
		spec, err := w.spec(restored(d))
		if err != nil {
			return err
		}
		after, _ := f(spec, before)
		return w.writeState(v, before, after)
	})
}

// writeState writes a state on the Deployment and, if it goes back, the template of
// the generation that it goes back to.
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

// errTakenOver ends a rollout whose Deployment was given yet another template.
var errTakenOver = errors.New("somebody else changed the pod template while it was rolled out; apply again to go on with one of them")

// annotated sets an annotation, or removes it if the text is empty.
func annotated(d *appsv1.Deployment, name, text string) op {
	all := maps.Clone(d.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	all[name] = text
	if text == "" {
		delete(all, name)
	}
	return op{"add", "/metadata/annotations", all}
}
