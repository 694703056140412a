package api

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// pollInterval is the time between two requests of a method that waits.
const pollInterval = 200 * time.Millisecond

// WaitRollout waits until the rollout of a workload has ended, and calls show
// with every status on the way, the last one included. It outlives a restart of
// the daemon. If ctx ends first it returns ctx's error.
func (c *Client) WaitRollout(ctx context.Context, k local.Key, show func(local.Status)) (local.Status, error) {
	wasServing := false
	for {
		s, err := c.Status(ctx, k)
		switch {
		case ctx.Err() != nil:
			return s, ctx.Err()
		case errors.Is(err, ErrNotServing) && wasServing:
			// The daemon may be restarting. The next one continues the rollout.
		case err != nil:
			return s, err
		default:
			wasServing = true
			show(s)
			if s.Phase.Ended() {
				return s, nil
			}
		}
		if err := clock.Sleep(ctx, pollInterval); err != nil {
			return s, err
		}
	}
}

// WaitDeleted waits until a workload with all its instances is gone.
func (c *Client) WaitDeleted(ctx context.Context, k local.Key) error {
	for {
		list, err := c.List(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(s local.Status) bool { return s.Key == k }) {
			return nil
		}
		if err := clock.Sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}
