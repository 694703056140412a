// Package inspect compares containers and roots on this machine with their images. It
// reads files; package drift, which is pure, decides what a difference means.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Overlay returns the changes of a container to its root file system, which is an
// overlay, with severities and text diffs. Mount points that the runtime created are
// omitted. Paths that could not be compared are unknown; an error means that there is
// no result at all. If a deadline of the context is reached, what was seen before it is
// reported.
func Overlay(ctx context.Context, m overlay.Mount) (drift.Report, error) {
	opts := overlay.Options{Mounts: m.Points, WorkDir: m.WorkDir}
	if opts.Mounts == nil {
		opts.Mounts = []string{} // nil means that the overlay is not a container's root
	}
	o, err := overlay.Open(m)
	if err != nil {
		return drift.Report{}, fmt.Errorf("read changes: %w", err)
	}
	defer o.Close()
	return Changes(ctx, o, opts)
}

// ErrDeadline is the reason of an unknown if a comparison was ended by its deadline.
var ErrDeadline = errors.New("deadline reached: the rest was not compared")

const (
	// attempts is the number of walks if directories change during each of them.
	attempts = 3
	// manyPairs is the number of paths after which a walk is not repeated.
	manyPairs = 50_000
)

// Changes compares both sides of an overlay, content included where only that can tell.
func Changes(ctx context.Context, o *overlay.Overlay, opts overlay.Options) (drift.Report, error) {
	for try := 1; ; try++ {
		v := visitor{ctx: ctx, Comparison: drift.NewComparison(0)}
		unsettled, err := o.Walk(ctx, opts, &v)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			v.Unknown("/", ErrDeadline)
		case err != nil:
			return drift.Report{}, fmt.Errorf("read changes: %w", err)
		case len(unsettled) > 0 && try < attempts && v.pairs < manyPairs:
			continue
		}
		for _, path := range unsettled {
			v.Unknown(path, tree.ErrChanged)
		}
		r := v.Report()
		if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return drift.Report{}, err
		}
		return r, nil
	}
}

// A visitor compares what a walk of an overlay finds.
type visitor struct {
	*drift.Comparison
	ctx   context.Context
	pairs int
}

// Pair implements overlay.Visitor.
func (v *visitor) Pair(p *overlay.Pair) {
	v.pairs++
	// A list of changes keeps these functions, and with them p, only if they are needed.
	pair := drift.Pair{Want: p.Want, Got: p.Got, Size: p.Size()}
	if p.IsShortened() {
		pair.Path = p.Path
	}
	if p.IsMerged() {
		pair.From = p.From
	}
	if isRegular(p.Want) || isRegular(p.Got) {
		pair.Equal = func() (bool, error) { return p.Equal(v.ctx) }
		pair.Content = func(side drift.Side) (io.ReadCloser, error) {
			if err := v.ctx.Err(); err != nil {
				return nil, err
			}
			if side == drift.Want {
				return p.OpenWant()
			}
			return p.OpenGot()
		}
	}
	v.Add(pair)
}

func isRegular(e *tree.Entry) bool { return e != nil && e.Kind == tree.Regular }
