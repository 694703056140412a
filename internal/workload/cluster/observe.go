package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Observe implements rollout.Driver.
func (w *workload) Observe(ctx context.Context) (rollout.Observation, error) {
	v, err := w.read(ctx)
	if err != nil {
		return rollout.Observation{}, err
	}
	w.observed = v
	o := rollout.Observation{Failed: map[int]rollout.Failure{}, Gate: w.gate.Result()}
	for _, rs := range v.sets {
		o.Instances = append(o.Instances, w.instances(ctx, rs, v.pods[rs.UID])...)
		if f := w.failure(rs); f.Times > 0 {
			o.Failed[generation(rs)] = f
		}
	}
	return o, nil
}

// instances returns the pods of a ReplicaSet as they will be once its
// controller has made the requested changes. Otherwise the next decision would
// request them again.
func (w *workload) instances(ctx context.Context, rs *appsv1.ReplicaSet, pods []*corev1.Pod) []rollout.Instance {
	var list []rollout.Instance
	var staying []*corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			staying = append(staying, p)
		}
	}
	gone := nextRemoved(staying, replicas(rs))
	for _, p := range pods {
		i := w.instance(ctx, p)
		i.Generation = generation(rs)
		i.Ending = p.DeletionTimestamp != nil || slices.Contains(gone, p)
		list = append(list, i)
	}
	for n := len(staying); n < replicas(rs); n++ {
		list = append(list, rollout.Instance{ID: pendingName(rs, n), Generation: generation(rs), Created: time.Now()})
	}
	return list
}

func replicas(rs *appsv1.ReplicaSet) int { return int(*cmp.Or(rs.Spec.Replicas, new(int32))) }

// pendingName names a pod that a ReplicaSet is about to create. No pod has such
// a name.
func pendingName(rs *appsv1.ReplicaSet, n int) string { return fmt.Sprintf("%s/%d", rs.Name, n) }

func (w *workload) instance(ctx context.Context, p *corev1.Pod) rollout.Instance {
	i := rollout.Instance{ID: p.Name, Created: p.CreationTimestamp.Time}
	now := time.Now()
	i.Ready, i.ReadySince = readiness(p, now)
	i.Crashes, i.Reason = crashes(p, now)
	if i.Ready {
		i.Drift = w.drift(ctx, p)
	}
	return i
}

// drift returns the worst result of a pod's containers.
func (w *workload) drift(ctx context.Context, p *corev1.Pod) rollout.Drift {
	if isSealed(p) {
		return rollout.Clean
	}
	if w.opts.Drift == nil {
		return rollout.Unchecked
	}
	worst := rollout.Clean
	for _, c := range p.Status.ContainerStatuses {
		got, err := w.opts.Drift(ctx, c.ContainerID)
		if err != nil {
			w.report(fmt.Errorf("compare container %s of pod %s with its image: %w", c.Name, p.Name, err))
			got = rollout.Unknown
		}
		worst = worst.Worst(got)
	}
	return worst
}

// failureInterval is the time that counts as one failure of a ReplicaSet to
// create a pod. Its controller tries many times a second at first.
const failureInterval = 5 * time.Second

// failure returns how long a ReplicaSet could not create pods, for example for lack
// of quota, as a number of failures.
func (w *workload) failure(rs *appsv1.ReplicaSet) rollout.Failure {
	at := slices.IndexFunc(rs.Status.Conditions, func(c appsv1.ReplicaSetCondition) bool {
		return c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate"
	})
	n := generation(rs)
	if at < 0 {
		delete(w.failingSince, n)
		return rollout.Failure{}
	}
	if _, known := w.failingSince[n]; !known {
		w.failingSince[n] = time.Now()
	}
	times := 1 + int(time.Since(w.failingSince[n])/failureInterval)
	return rollout.Failure{Times: times, Reason: rs.Status.Conditions[at].Message}
}

// report reports an error after which the rollout tries again. It ends the
// rollout if the user lacks a permission.
func (w *workload) report(err error) {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		w.stop(err)
		return
	}
	if w.opts.Report != nil {
		w.opts.Report(w.String(), err)
	}
}
