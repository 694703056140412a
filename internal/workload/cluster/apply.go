package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// errTimeout ends a rollout at Options.Timeout.
var errTimeout = errors.New("the time is over; the rollout stands still until it is resumed")

// Apply applies the objects of a manifest, as returned by manifest.File.Raw:
// first those that are no Deployments, then the Deployments one after the
// other, each after the one before has completed its rollout. It returns a
// result for each Deployment, also with an error. A rollout that failed is no
// error, and one that an earlier call started continues.
//
// Like kubectl apply --server-side --force-conflicts, it takes ownership of
// fields that others set.
func (c *Cluster) Apply(ctx context.Context, objects []map[string]any, opts Options) ([]Result, error) {
	var deployments []*unstructured.Unstructured
	for _, o := range applyOrder(objects) {
		if o.GetKind() == "Deployment" && o.GroupVersionKind().Group == "apps" {
			deployments = append(deployments, o)
			continue
		}
		if err := c.apply(ctx, o); err != nil {
			return nil, err
		}
	}
	ctx, cancel := withTimeout(ctx, opts.Timeout)
	defer cancel()
	return c.rollOut(ctx, deployments, opts)
}

// rollOut rolls out Deployments. After the first failure it leaves the others
// as they are.
func (c *Cluster) rollOut(ctx context.Context, deployments []*unstructured.Unstructured, opts Options) ([]Result, error) {
	var results []Result
	failed := ""
	for _, o := range deployments {
		w := c.workload(o.GetNamespace(), o.GetName(), opts)
		r := Result{Namespace: w.namespace, Name: w.name}
		var err error
		if failed != "" {
			r.Reason = "not begun: " + failed
		} else {
			r, err = w.run(ctx, func(ctx context.Context) error {
				back, err := w.applyPaused(ctx, o)
				if err != nil {
					return err
				}
				return w.start(ctx, back)
			})
		}
		if results = append(results, r); err != nil {
			return results, fmt.Errorf("roll out %s: %w", r, err)
		}
		if failed == "" && r.Phase != rollout.Complete {
			failed = fmt.Sprintf("%s is %s", r, r.Phase)
		}
	}
	return results, nil
}

// Resume continues a rollout that has not ended. If there is none it returns
// how the last one ended, with an empty phase if there never was one.
func (c *Cluster) Resume(ctx context.Context, namespace, name string, opts Options) (Result, error) {
	ctx, cancel := withTimeout(ctx, opts.Timeout)
	defer cancel()
	w := c.workload(namespace, name, opts)
	r := Result{Namespace: w.namespace, Name: w.name}
	d, err := w.deployments(w.namespace).get(ctx, name)
	if err != nil {
		return r, fmt.Errorf("resume %s: %w", r, err)
	}
	s, err := stateOf(d)
	if err != nil {
		return r, err
	}
	isOver := s.Target == 0 || s.Phase.Ended()
	if isOver && !isPaused(d) {
		r.Phase, r.Reason, r.Generation = s.Phase, s.Reason, s.Target
		return r, nil
	}
	r, err = w.run(ctx, func(ctx context.Context) error {
		if !isOver {
			return nil
		}
		// The process that paused the Deployment was killed before it stored a state.
		sets, err := w.owned(ctx, d)
		if err != nil {
			return err
		}
		back, err := w.rollbackTarget(ctx, d, sets)
		if err != nil {
			return err
		}
		return w.start(ctx, back)
	})
	if err != nil {
		return r, fmt.Errorf("roll out %s: %w", r, err)
	}
	return r, nil
}

// State returns the state of a Deployment's rollout, the zero State if there
// never was one.
func (c *Cluster) State(ctx context.Context, namespace, name string) (rollout.State, error) {
	d, _, err := c.workload(namespace, name, Options{}).current(ctx)
	if err != nil || d == nil {
		return rollout.State{}, err
	}
	return stateOf(d)
}

// UpdateState changes the state of a Deployment's rollout by hand:
// rollout.State.Resume ends a pause, and setting Paused begins one. The process
// that drives the rollout reads it at its next step.
func (c *Cluster) UpdateState(ctx context.Context, namespace, name string, f func(rollout.State) rollout.State) error {
	w := c.workload(namespace, name, Options{})
	w.ctx, w.stop = ctx, func(error) {}
	s, err := c.State(ctx, namespace, name)
	if err != nil {
		return err
	}
	if s.Target == 0 {
		return fmt.Errorf("%s was never rolled out by adamant", w)
	}
	return w.updateState(s.Target, f)
}

func (c *Cluster) workload(namespace, name string, opts Options) *workload {
	if namespace == "" {
		namespace = c.namespace
	}
	return &workload{Cluster: c, namespace: namespace, name: name, opts: opts, failingSince: map[int]time.Time{}}
}

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, d, errTimeout)
}

// applyOrder returns the objects in the order of their dependencies:
// definitions, then namespaces, then all others.
func applyOrder(objects []map[string]any) []*unstructured.Unstructured {
	rank := func(o *unstructured.Unstructured) int {
		return slices.Index([]string{"CustomResourceDefinition", "Namespace"}, o.GetKind())
	}
	var list []*unstructured.Unstructured
	for _, o := range objects {
		list = append(list, &unstructured.Unstructured{Object: o})
	}
	slices.SortStableFunc(list, func(a, b *unstructured.Unstructured) int { return rank(b) - rank(a) })
	return list
}

// apply applies one object by server-side apply.
func (c *Cluster) apply(ctx context.Context, o *unstructured.Unstructured) error {
	kind, isNamespaced, err := c.kinds.find(ctx, o.GroupVersionKind())
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	namespace := corev1.NamespaceAll
	if isNamespaced {
		namespace = cmp.Or(o.GetNamespace(), c.namespace)
	}
	if _, err := c.objects.Resource(kind).Namespace(namespace).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// UncheckedNotes returns a note for each pod that was not compared with its image.
func UncheckedNotes(results []Result) []string {
	var notes []string
	for _, r := range results {
		for _, pod := range r.Unchecked {
			notes = append(notes, "pod "+pod+" can write its root, and was not compared with its image; adamant seal makes the root read-only")
		}
	}
	return notes
}
