package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A trial is a second Deployment, which runs the new generation beside the first
// one, for a canary, a blue/green rollout or the first gate. The first one is not
// changed meanwhile, so that the trial can be deleted at any time by anybody, and
// it belongs to the first one, so that both are deleted together.

// trialName returns the name of the trial of a Deployment.
func trialName(name string, kind rollout.Kind) string {
	if kind == rollout.BlueGreen {
		return name + "-green"
	}
	return name + "-canary"
}

// labelValue returns a name as the value of a label, which is shorter.
func labelValue(name string) (string, error) {
	if len(name) > validation.LabelValueMaxLength {
		return "", fmt.Errorf("the name %s is too long for a trial: want %d bytes at most", name, validation.LabelValueMaxLength)
	}
	return name, nil
}

// newTrial returns the trial of a generation of a Deployment, without pods. d is
// the Deployment as o, its manifest, makes it.
func (w *workload) newTrial(ctx context.Context, o *unstructured.Unstructured, d *appsv1.Deployment, owner *appsv1.Deployment, name string, kind rollout.Kind, generation int) (*appsv1.Deployment, error) {
	label, err := labelValue(name)
	if err != nil {
		return nil, err
	}
	text, err := encoded(o.Object)
	if err != nil {
		return nil, err
	}
	template := *d.Spec.Template.DeepCopy()
	if kind == rollout.BlueGreen {
		// Pods of a blue/green rollout get no traffic before the switch.
		if template.Labels, err = w.withoutServices(ctx, template.Labels); err != nil {
			return nil, err
		}
	}
	template.Labels = withEntry(template.Labels, trialLabel, label)
	t := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: w.namespace,
			Labels:      map[string]string{trialLabel: label},
			Annotations: map[string]string{manifestAnnotation: text, generationAnnotation: strconv.Itoa(generation)},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Name: owner.Name, UID: owner.UID},
			},
		},
		Spec: *d.Spec.DeepCopy(),
	}
	t.Spec.Template, t.Spec.Paused, t.Spec.Replicas = template, false, new(int32)
	t.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{trialLabel: label}}
	return t, nil
}

// withoutServices returns labels without those by which a Service of the namespace
// selects pods that have them.
func (w *workload) withoutServices(ctx context.Context, labels map[string]string) (map[string]string, error) {
	services, err := newResource[corev1.Service](w.Cluster, corev1.SchemeGroupVersion, "Service", "services", w.namespace).list(ctx, &metav1.LabelSelector{})
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	kept := maps.Clone(labels)
	for _, s := range services {
		isSelected := len(s.Spec.Selector) > 0
		for name, value := range s.Spec.Selector {
			isSelected = isSelected && labels[name] == value
		}
		for name := range s.Spec.Selector {
			if isSelected {
				delete(kept, name)
			}
		}
	}
	return kept, nil
}

// triedObject returns the manifest's Deployment that a trial tries.
func triedObject(t *appsv1.Deployment) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(t.Annotations[manifestAnnotation]), &o.Object); err != nil {
		return nil, fmt.Errorf("annotation %s of Deployment %s/%s: %w", manifestAnnotation, t.Namespace, t.Name, err)
	}
	return o, nil
}

// trials returns the trials of a Deployment.
func (w *workload) trials(ctx context.Context, d *appsv1.Deployment) ([]*appsv1.Deployment, error) {
	selector := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: trialLabel, Operator: metav1.LabelSelectorOpExists}}}
	all, err := w.deployments(w.namespace).list(ctx, selector)
	if err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	isOther := func(t *appsv1.Deployment) bool {
		return !slices.ContainsFunc(t.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == d.UID })
	}
	return slices.DeleteFunc(all, isOther), nil
}

// deleteTrial deletes a trial. It exists until its pods are gone.
func (w *workload) deleteTrial(ctx context.Context, t *appsv1.Deployment) error {
	if t.DeletionTimestamp != nil {
		return nil
	}
	err := w.deployments(w.namespace).delete(ctx, t.Name, t.UID)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Deployment %s: %w", t.Name, err)
	}
	return nil
}

// removeTrials deletes trials and waits until they are gone.
func (w *workload) removeTrials(ctx context.Context, trials []*appsv1.Deployment) error {
	for _, t := range trials {
		for {
			if err := w.deleteTrial(ctx, t); err != nil {
				return err
			}
			now, err := w.deployments(w.namespace).get(ctx, t.Name)
			if apierrors.IsNotFound(err) || err == nil && now.UID != t.UID {
				break
			}
			if err != nil {
				return err
			}
			t = now
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
}

// scaleTrial sets the number of pods of a trial.
func (w *workload) scaleTrial(ctx context.Context, t *appsv1.Deployment, n int) error {
	if t.Spec.Replicas != nil && int(*t.Spec.Replicas) == n {
		return nil
	}
	patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, n)
	if err := w.deployments(w.namespace).patch(ctx, t.Name, types.MergePatchType, patch); err != nil {
		return fmt.Errorf("scale Deployment %s: %w", t.Name, err)
	}
	return nil
}
