package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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
	o := rollout.Observation{Failed: map[int]rollout.Failure{}, Gate: w.gate.Result(), Fault: w.fault(v)}
	for _, rs := range slices.Concat(v.sets, v.trialSets) {
		n := w.generation(v, rs)
		for _, p := range v.pods[rs.UID] {
			i := w.instance(ctx, p)
			i.Generation, i.Ending = n, p.DeletionTimestamp != nil
			o.Instances = append(o.Instances, i)
		}
		if f := w.failure(rs); f.Times > 0 {
			o.Failed[n] = f
		}
	}
	return o, nil
}

// generation returns the generation of a ReplicaSet, which may be one of the trial.
func (w *workload) generation(v view, rs *appsv1.ReplicaSet) int {
	if !slices.Contains(v.trialSets, rs) {
		return generation(rs)
	}
	if w.record.Phase == rollout.Progressing {
		return w.record.Target
	}
	n, _ := strconv.Atoi(v.trial.Annotations[generationAnnotation]) // written by newTrial
	return n
}

// fault returns why a rollout cannot go on, apart from its pods.
func (w *workload) fault(v view) string {
	if w.record.isTried(v) && (v.trial == nil || v.trial.DeletionTimestamp != nil) {
		return "somebody deleted Deployment " + w.record.Trial
	}
	// rollout knows no deadline after a blue/green switch, which takes no time on one machine.
	for _, c := range v.deployment.Status.Conditions {
		if !w.record.Switched.IsZero() && v.deployment.Status.ObservedGeneration >= v.deployment.Generation &&
			c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return "no progress: " + c.Message
		}
	}
	return ""
}

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
	if at < 0 {
		delete(w.failingSince, rs.UID)
		return rollout.Failure{}
	}
	if _, known := w.failingSince[rs.UID]; !known {
		w.failingSince[rs.UID] = time.Now()
	}
	times := 1 + int(time.Since(w.failingSince[rs.UID])/failureInterval)
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
