package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// errTimeout ends a call at Options.Timeout.
var errTimeout = errors.New("the time is over")

// Apply applies the objects of a manifest, as returned by manifest.File.Raw:
// first those that are no Deployments, then the Deployments one after the
// other, each after the one before has completed its rollout. It returns a
// result for each Deployment, also with an error. A rollout that failed is no
// error, and one that an earlier call started continues.
//
// It applies as kubectl apply --server-side does: the error is a ConflictError if
// others manage fields of an object, unless Options.Force is set.
func (c *Cluster) Apply(ctx context.Context, objects []map[string]any, opts Options) ([]Result, error) {
	ctx, cancel := withTimeout(ctx, opts.Timeout)
	defer cancel()
	c.warnings.passTo(opts.Warn)
	ordered, copies := pinConfiguration(applyOrder(objects), c.namespace)
	if err := c.check(ctx, slices.Concat(append([][]*unstructured.Unstructured{ordered}, slices.Collect(maps.Values(copies))...)...), opts.Force); err != nil {
		return nil, errors.Join(err, timedOut(ctx))
	}
	var deployments []*unstructured.Unstructured
	for _, o := range ordered {
		if isDeployment(o) {
			deployments = append(deployments, o)
			continue
		}
		if _, err := c.serverSide(ctx, o, request{force: opts.Force}); err != nil {
			return nil, errors.Join(err, timedOut(ctx))
		}
	}
	return c.rollOut(ctx, deployments, copies, opts)
}

// check returns an error if applying the objects would fail, before anything is
// changed.
func (c *Cluster) check(ctx context.Context, objects []*unstructured.Unstructured, force bool) error {
	if err := c.checkRights(ctx, objects); err != nil {
		return err
	}
	for _, o := range objects {
		_, err := c.serverSide(ctx, o, request{force: force, dryRun: true})
		// The namespace or the definition of the kind may be among the objects.
		if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			return err
		}
	}
	return nil
}

// rollOut rolls out Deployments. After the first failure it leaves the others
// as they are.
func (c *Cluster) rollOut(ctx context.Context, deployments []*unstructured.Unstructured, copies map[*unstructured.Unstructured][]*unstructured.Unstructured, opts Options) ([]Result, error) {
	var results []Result
	failed := ""
	for _, o := range deployments {
		w := c.workload(o.GetNamespace(), o.GetName(), opts)
		w.config = copies[o]
		r := Result{Namespace: w.namespace, Name: w.name}
		var err error
		if failed != "" {
			r.Reason = "not begun: " + failed
		} else {
			r, err = w.run(ctx, func(ctx context.Context) error { return w.begin(ctx, o) })
		}
		if results = append(results, r); err != nil {
			return results, fmt.Errorf("roll out %s: %w", r, err)
		}
		if failed == "" && r.Phase != rollout.Complete && !r.Paused {
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
	last, err := recordOf(d)
	if err != nil {
		return r, err
	}
	if last.Target == 0 || last.Phase.Ended() {
		r.Phase, r.Reason, r.Generation = last.Phase, last.Reason, last.Target
		return r, nil
	}
	w.apply, w.record = last.Apply, last
	r, err = w.run(ctx, func(context.Context) error { return nil })
	if err != nil {
		return r, fmt.Errorf("roll out %s: %w", r, err)
	}
	return r, nil
}

// State returns the state of a Deployment's rollout, the zero State if there
// never was one.
func (c *Cluster) State(ctx context.Context, namespace, name string) (rollout.State, error) {
	w := c.workload(namespace, name, Options{})
	d, err := w.deployments(w.namespace).get(ctx, w.name)
	if apierrors.IsNotFound(err) {
		return rollout.State{}, nil
	}
	if err != nil {
		return rollout.State{}, err
	}
	r, err := recordOf(d)
	return r.State, err
}

// UpdateState changes the state of a Deployment's rollout by hand:
// rollout.State.Resume ends a pause, and setting Paused begins one. The process
// that drives the rollout reads it at its next step.
func (c *Cluster) UpdateState(ctx context.Context, namespace, name string, f func(rollout.State) rollout.State) error {
	w := c.workload(namespace, name, Options{})
	w.ctx, w.stop = ctx, func(error) {}
	return w.update(func(_ view, r record) (rollout.State, error) {
		if r.Target == 0 {
			return r.State, fmt.Errorf("%s was never rolled out by adamant", w)
		}
		return f(r.State), nil
	})
}

func (c *Cluster) workload(namespace, name string, opts Options) *workload {
	if namespace == "" {
		namespace = c.namespace
	}
	return &workload{Cluster: c, namespace: namespace, name: name, opts: opts, failingSince: map[types.UID]time.Time{}}
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
