package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// pollInterval is the time between two requests of a method that waits.
const pollInterval = 200 * time.Millisecond

// WaitRollout waits until the rollout of a workload has ended, and calls show
// with every status on the way, the last one included. It outlives a restart of
// the daemon. If ctx is cancelled first it returns ctx's error.
func (c *Client) WaitRollout(ctx context.Context, k local.Key, show func(local.Status)) (local.Status, error) {
	s, err := c.waitRollout(ctx, k, show)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s: its rollout has not ended in time: adamant rollout status %s", k, k.Name)
	}
	return s, err
}

// WaitRollouts waits for the rollouts that an apply started, one after the other,
// and no longer than timeout unless that is 0; see WaitRollout.
func (c *Client) WaitRollouts(ctx context.Context, o local.Outcome, timeout time.Duration, show func(local.Status)) ([]local.Status, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var ended []local.Status
	for _, k := range o.Rollouts() {
		s, err := c.WaitRollout(ctx, k, show)
		if err != nil {
			return nil, err
		}
		ended = append(ended, s)
	}
	return ended, nil
}

func (c *Client) waitRollout(ctx context.Context, k local.Key, show func(local.Status)) (local.Status, error) {
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

// DeleteAll deletes objects and, with wait, waits until the workloads among them
// are gone. It calls deleted with each object.
func (c *Client) DeleteAll(ctx context.Context, keys []local.Key, wait bool, deleted func(local.Key)) error {
	for _, k := range keys {
		if err := c.Delete(ctx, k); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if wait && hasInstances(k) {
			if err := c.waitDeleted(ctx, k); err != nil {
				return err
			}
		}
		deleted(k)
	}
	return nil
}

// waitDeleted waits until a workload with all its instances is gone.
func (c *Client) waitDeleted(ctx context.Context, k local.Key) error {
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
