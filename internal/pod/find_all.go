package pod

import (
	"context"
	"errors"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// FindAll returns the pods of several names, each pod once. See FindIn.
func (e *Engine) FindAll(ctx context.Context, namespace string, names []string) ([]*Pod, error) {
	var pods []*Pod
	for _, name := range names {
		p, err := e.FindIn(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(pods, func(q *Pod) bool { return q.UID == p.UID }) {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

// A NoInstanceError is returned by DriftOf when neither a pod nor another
// container on this machine has the name.
type NoInstanceError struct{ Name string }

// Error returns one line with the name.
func (e *NoInstanceError) Error() string {
	return "no pod and no container on this machine is called " + e.Name
}

// Mend returns how to find the names.
func (e *NoInstanceError) Mend() string {
	return "see adamant ps, or name a container by its id or process"
}

// DriftOf compares the pods of some names. A name may also be that of a container that
// another runtime runs; see inspect.Container.
func (e *Engine) DriftOf(ctx context.Context, names []string, opts DriftOptions) ([]inspect.Result, error) {
	var results []inspect.Result
	layers := &layerVerifier{}
	for _, name := range names {
		more, err := e.driftOfInstance(ctx, name, opts, layers)
		if err != nil {
			return nil, err
		}
		results = append(results, more...)
	}
	return results, nil
}

func (e *Engine) driftOfInstance(ctx context.Context, name string, opts DriftOptions, layers *layerVerifier) ([]inspect.Result, error) {
	p, err := e.FindIn(ctx, opts.Namespace, name)
	if err == nil {
		return p.driftAll(ctx, opts, layers)
	}
	if !errors.Is(err, ErrNotFound) || opts.Namespace != "" || opts.PodsOnly { // other containers have none
		return nil, err
	}
	r, err := inspect.Container(ctx, name, opts.Volumes)
	if errors.Is(err, overlay.ErrNoContainer) {
		return nil, &NoInstanceError{name}
	}
	if err == nil && opts.VerifyLayers {
		r.Unknowns = append(r.Unknowns, tree.Unknown{Path: "/", Err: errNoBlobs})
	}
	return []inspect.Result{r}, err
}
