package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/adamant-sh/adamant/internal/workload/gate"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A workload is one Deployment during a rollout. It implements rollout.Driver
// and, by annotations of the Deployment, rollout.Store.
type workload struct {
	*Cluster
	ctx             context.Context // of the rollout; the methods of rollout.Store have none
	stop            func(error)     // ends ctx
	namespace, name string
	opts            Options

	apply  string                       // identifies the apply that is carried out, as record.Apply
	record record                       // that was written last
	isHeld bool                         // the manifest pauses the Deployment
	config []*unstructured.Unstructured // copies of its configuration, until a ReplicaSet owns them

	shown        Status                  // last passed to Options.Progress
	observed     view                    // result of the last Observe
	failingSince map[types.UID]time.Time // when pods of a ReplicaSet could first not be created

	policy rollout.Policy // of the last spec
	gate   *gate.Gate
	gates  sync.WaitGroup
}

// A view is a Deployment with its trial, at one observation.
type view struct {
	deployment *appsv1.Deployment
	sets       []*appsv1.ReplicaSet
	trials     []*appsv1.Deployment        // also those of earlier rollouts
	trial      *appsv1.Deployment          // that of the record, nil if there is none
	trialSets  []*appsv1.ReplicaSet        // of trial
	pods       map[types.UID][]*corev1.Pod // by ReplicaSet, without those that have ended
}

// String returns the name for events and errors.
func (w *workload) String() string { return w.namespace + "/" + w.name }

// read reads a Deployment and its trials with their ReplicaSets and pods.
func (w *workload) read(ctx context.Context) (view, error) {
	d, err := w.deployments(w.namespace).get(ctx, w.name)
	if apierrors.IsNotFound(err) {
		w.stop(errDeleted)
	}
	if err != nil {
		return view{}, err
	}
	v := view{deployment: d, pods: map[types.UID][]*corev1.Pod{}}
	if v.sets, err = w.owned(ctx, d); err != nil {
		return view{}, err
	}
	if err := w.readPods(ctx, &v, d.Spec.Selector); err != nil {
		return view{}, err
	}
	r, err := recordOf(d)
	if err != nil {
		return view{}, err
	}
	if v.trials, err = w.trials(ctx, d); err != nil {
		return view{}, err
	}
	at := slices.IndexFunc(v.trials, func(t *appsv1.Deployment) bool { return t.Name == r.Trial })
	if at < 0 {
		return v, nil
	}
	v.trial = v.trials[at]
	if v.trialSets, err = w.owned(ctx, v.trial); err != nil {
		return view{}, err
	}
	return v, w.readPods(ctx, &v, v.trial.Spec.Selector)
}

// readPods adds the pods that a selector matches to a view. Those of a trial may
// have the labels of both.
func (w *workload) readPods(ctx context.Context, v *view, selector *metav1.LabelSelector) error {
	pods, err := w.pods(w.namespace).list(ctx, selector)
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	read := map[types.UID][]*corev1.Pod{}
	for _, p := range pods {
		if owner := metav1.GetControllerOf(p); owner != nil && !isOver(p) {
			read[owner.UID] = append(read[owner.UID], p)
		}
	}
	maps.Copy(v.pods, read)
	return nil
}

var errDeleted = errors.New("somebody deleted the Deployment while it was rolled out")

// owned returns the ReplicaSets that a Deployment owns, also those that are being
// deleted: their pods may not be yet.
func (w *workload) owned(ctx context.Context, d *appsv1.Deployment) ([]*appsv1.ReplicaSet, error) {
	all, err := w.replicaSets(w.namespace).list(ctx, d.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("list ReplicaSets: %w", err)
	}
	var sets []*appsv1.ReplicaSet
	for _, rs := range all {
		if metav1.IsControlledBy(rs, d) {
			sets = append(sets, rs)
		}
	}
	return sets, nil
}

// spec returns how a Deployment is replaced.
func (w *workload) spec(d *appsv1.Deployment) (rollout.Spec, error) {
	spec, policy, err := rollout.FromDeployment(d)
	if err == nil && policy.ErrorRate != nil {
		// Traffic in a cluster does not pass through Adamant.
		err = fmt.Errorf("annotation %s: nobody counts requests in a cluster; ask by %s or %s",
			rollout.AnnotationErrorRate, rollout.AnnotationQuery, rollout.AnnotationHTTP)
	}
	if err != nil {
		return spec, fmt.Errorf("%s: %w", w, err)
	}
	w.policy = policy
	if w.opts.Drift == nil {
		// A rollout must not wait for a comparison that never happens.
		spec.OnDrift = rollout.Report
	}
	return spec, nil
}

// retryOnConflict repeats f, which reads an object and changes it, after
// conflicts. They are common because controllers write to Deployments and
// ReplicaSets all the time.
func retryOnConflict(f func() error) error {
	backoff := wait.Backoff{Steps: 8, Duration: 20 * time.Millisecond, Factor: 2, Jitter: 0.1}
	return retry.OnError(backoff, func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
	}, f)
}

// An op is an operation of a JSON patch (RFC 6902).
type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patchOf returns a patch that the server applies only to the version of the
// object that was read, and otherwise refuses with a conflict.
func patchOf(resourceVersion string, ops ...op) ([]byte, error) {
	return json.Marshal(slices.Concat([]op{{"replace", "/metadata/resourceVersion", resourceVersion}}, ops))
}

// patch changes the version of the Deployment that was read.
func (w *workload) patch(ctx context.Context, d *appsv1.Deployment, ops ...op) error {
	data, err := patchOf(d.ResourceVersion, ops...)
	if err != nil {
		return err
	}
	return w.deployments(d.Namespace).patch(ctx, d.Name, types.JSONPatchType, data)
}
