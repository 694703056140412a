package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Execute implements rollout.Driver. If the Deployment's own strategy is
// Recreate it only records events and gates: the Deployment is not paused, and its
// controller replaces the pods.
func (w *workload) Execute(ctx context.Context, d rollout.Decision) error {
	for _, e := range d.Events {
		w.event(e)
	}
	w.askGate(ctx, d.Gate)
	if !isPaused(w.observed.deployment) {
		return nil
	}
	change := map[*appsv1.ReplicaSet]int{}
	for n, count := range d.Create {
		rs := ofGeneration(w.observed.sets, n)
		if rs == nil && count > 0 {
			return fmt.Errorf("generation %d has no ReplicaSet", n)
		}
		change[rs] += count
	}
	chosen := w.removedPods(d.Remove, change)
	w.keepTwoActive(change)
	for _, up := range []bool{true, false} { // new pods first
		for rs, n := range change {
			if n == 0 || (n > 0) != up {
				continue
			}
			if err := w.markForRemoval(ctx, chosen[rs]); err != nil {
				return err
			}
			if err := w.scale(ctx, rs, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *workload) event(e rollout.Event) {
	if w.opts.Event != nil {
		w.opts.Event(w.String(), e)
	}
}

// removedPods returns the pods of each ReplicaSet that are to be removed, and
// subtracts them from change.
func (w *workload) removedPods(remove []string, change map[*appsv1.ReplicaSet]int) map[*appsv1.ReplicaSet][]string {
	chosen := map[*appsv1.ReplicaSet][]string{}
	for _, rs := range w.observed.sets {
		for _, id := range remove {
			isPod := slices.ContainsFunc(w.observed.pods[rs.UID], func(p *corev1.Pod) bool { return p.Name == id })
			if isPod {
				chosen[rs] = append(chosen[rs], id)
			}
			// A pending pod does not exist yet, so fewer replicas remove it.
			if isPod || strings.HasPrefix(id, rs.Name+"/") {
				change[rs]--
			}
		}
	}
	return chosen
}

// keepTwoActive prevents a shrinking ReplicaSet from becoming the only one with
// replicas, which the Deployment controller would scale to all of the Deployment's
// replicas even while it is paused. The new ReplicaSet gets its next pod a moment
// early instead. This happens with strategies without surge.
func (w *workload) keepTwoActive(change map[*appsv1.ReplicaSet]int) {
	var active []*appsv1.ReplicaSet
	for _, rs := range w.observed.sets {
		if replicas(rs)+change[rs] > 0 {
			active = append(active, rs)
		}
	}
	d := w.observed.deployment
	next := matching(d, w.observed.sets)
	if next == nil || *d.Spec.Replicas == 0 || len(active) > 1 || len(change) == 0 {
		return
	}
	if len(active) == 0 || active[0] != next && replicas(active[0])+change[active[0]] < int(*d.Spec.Replicas) {
		change[next]++
	}
}

// markForRemoval makes a ReplicaSet remove these pods first.
func (w *workload) markForRemoval(ctx context.Context, pods []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{costAnnotation: lowestCost}}})
	if err != nil {
		return err
	}
	for _, name := range pods {
		err := w.pods(w.namespace).patch(ctx, name, types.MergePatchType, patch)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("mark pod %s to be removed: %w", name, err)
		}
	}
	return nil
}

// scale changes the replicas of a ReplicaSet, unless the Deployment controller
// has already set the same number, as it may while there is no other
// ReplicaSet.
func (w *workload) scale(ctx context.Context, rs *appsv1.ReplicaSet, by int) error {
	want := max(replicas(rs)+by, 0)
	return retryOnConflict(func() error {
		now, err := w.replicaSets(w.namespace).get(ctx, rs.Name)
		if err != nil {
			return fmt.Errorf("scale ReplicaSet %s: %w", rs.Name, err)
		}
		// The decision was made for the observed number. With any other number
		// it could remove a pod that is needed.
		switch replicas(now) {
		case want:
			return nil
		case replicas(rs):
			return w.patchSet(ctx, now, op{"replace", "/spec/replicas", want})
		}
		return fmt.Errorf("ReplicaSet %s was scaled from %d to %d by somebody else", rs.Name, replicas(rs), replicas(now))
	})
}
