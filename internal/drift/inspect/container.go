package inspect

import (
	"context"
	"fmt"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Result is the report on one container or root.
type Result struct {
	Name string
	drift.Report
}

// Unknown returns the result for a container or root that could not be compared.
func Unknown(name string, err error) Result {
	return Result{name, drift.Report{Unknowns: []tree.Unknown{{Path: "/", Err: err}}}}
}

// Container compares a container of any runtime on this machine, by its id, name
// or process, and lists the programs in its volumes if withVolumes is set. The error wraps
// overlay.ErrNoContainer if no container is found.
func Container(ctx context.Context, ref string, withVolumes bool) (Result, error) {
	c, err := overlay.Lookup(ctx, ref)
	if err != nil {
		return Result{}, err
	}
	if c.Err != nil {
		return Result{}, fmt.Errorf("%s: %w", c, c.Err)
	}
	r, err := Overlay(ctx, c.Mount)
	if err != nil {
		return Result{}, err
	}
	r = r.Merge(Live(ctx, c.PID, c.ID))
	if withVolumes {
		programs, err := Programs(ctx, c.PID, c.Mount)
		if err != nil {
			return Result{}, err
		}
		r = r.Merge(programs)
	}
	return Result{c.String(), r}, nil
}
