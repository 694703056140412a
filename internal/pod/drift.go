package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

// Drift returns the changes of a container: to its root file system, and, while it runs,
// to its mounts and programs, see inspect.Live.
func (p *Pod) Drift(ctx context.Context, c *Container) (drift.Report, error) {
	r, err := p.driftOfFiles(ctx, c)
	if err != nil || c.PID == 0 {
		return r, err
	}
	return r.Merge(inspect.Live(ctx, c.PID, c.ID)), nil
}

// driftOfFiles reads the upper directory of the container's overlay. If the snapshotter
// does not use overlays, it compares all files with the image.
func (p *Pod) driftOfFiles(ctx context.Context, c *Container) (drift.Report, error) {
	m, err := p.Overlay(ctx, c)
	if err == nil {
		return inspect.Overlay(ctx, m)
	}
	if !errors.Is(err, overlay.ErrNoOverlay) || c.PID == 0 {
		return drift.Report{}, err
	}
	img, err := p.e.daemon.OpenImage(ctx, c.ImageID)
	if err != nil {
		return drift.Report{}, fmt.Errorf("image of container %s: %w", c.Name, err)
	}
	root, err := p.OpenRoot(ctx, c.Name)
	if err != nil {
		return drift.Report{}, err
	}
	defer root.Close()
	if err := p.verifyRoot(ctx, c, root); err != nil {
		return drift.Report{}, err
	}
	return inspect.Root(ctx, root, image.Image{Image: img}, image.FlattenOptions{Copied: true})
}

// errLost is the reason of an unknown for a container of a pod that is Lost or removed.
var errLost = errors.New("its container is gone from the runtime, and its changes with it")

// driftAll compares the containers of the pod that were started. A container that cannot
// be compared is unknown.
func (p *Pod) driftAll(ctx context.Context, opts DriftOptions, layers *layerVerifier) ([]inspect.Result, error) {
	if opts.Container != "" {
		if _, err := p.Container(opts.Container); err != nil {
			return nil, err
		}
	}
	var results []inspect.Result
	if p.Phase == Damaged {
		return append(results, inspect.Unknown(p.Name, p.rec.damaged)), nil
	}
	isGone := p.Phase == Lost || !exists(newLayout(p.e.opts.Root, p.UID).Dir)
	for i := range p.Containers {
		c := &p.Containers[i]
		name := p.Name + "/" + c.Name
		switch {
		case opts.Container != "" && c.Name != opts.Container:
			continue
		case c.ID == "" && isGone && !c.Init:
			results = append(results, inspect.Unknown(name, errLost))
			continue
		case c.ID == "":
			continue // not started yet
		}
		r, err := p.Drift(ctx, c)
		if err == nil && opts.VerifyLayers {
			var verified drift.Report
			if verified, err = layers.verify(ctx, p, c); err == nil {
				r = r.Merge(verified)
			}
		}
		if err == nil && opts.Volumes && c.PID != 0 {
			var programs drift.Report
			if programs, err = p.programs(ctx, c); err == nil {
				r = r.Merge(programs)
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			results = append(results, inspect.Unknown(name, err))
		default:
			results = append(results, inspect.Result{Name: name, Report: r})
		}
	}
	return results, nil
}

// programs lists the programs in the volumes of a container. Without an overlay those
// that were copied from the image are among them.
func (p *Pod) programs(ctx context.Context, c *Container) (drift.Report, error) {
	m, err := p.Overlay(ctx, c)
	if err != nil && !errors.Is(err, overlay.ErrNoOverlay) {
		return drift.Report{}, err
	}
	return inspect.Programs(ctx, c.PID, m)
}

// Drift compares the containers of all pods of DriftOptions.Namespace.
func (e *Engine) Drift(ctx context.Context, opts DriftOptions) ([]inspect.Result, error) {
	pods, err := e.PodsIn(ctx, opts.Namespace)
	if err != nil {
		return nil, err
	}
	return e.driftOf(ctx, pods, opts)
}

// driftOf compares the containers of pods. It omits a pod that is removed at the
// same time, because files that disappear while they are read are unknowns.
func (e *Engine) driftOf(ctx context.Context, pods []*Pod, opts DriftOptions) ([]inspect.Result, error) {
	var results []inspect.Result
	layers := &layerVerifier{}
	for _, p := range pods {
		more, err := p.driftAll(ctx, opts, layers)
		if err != nil {
			return nil, err
		}
		isUnknown := func(r inspect.Result) bool { return r.UnknownLen() > 0 }
		if slices.ContainsFunc(more, isUnknown) && e.isGone(ctx, p) {
			continue
		}
		results = append(results, more...)
	}
	return results, nil
}

// isGone reports whether a pod was removed, or is being removed.
func (e *Engine) isGone(ctx context.Context, p *Pod) bool {
	now, err := e.Find(ctx, p.UID)
	return errors.Is(err, ErrNotFound) || err == nil && now.Phase == Removing
}

// SaveChanges writes the changed files of a running container, see
// inspect.SaveChanges.
func (p *Pod) SaveChanges(ctx context.Context, c *Container, r drift.Report, w io.Writer) ([]tree.Unknown, error) {
	root, err := p.OpenRoot(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	unknown, err := inspect.SaveChanges(ctx, root, r, w)
	if err != nil {
		return nil, fmt.Errorf("save the changes of container %s: %w", c.Name, err)
	}
	return unknown, nil
}
