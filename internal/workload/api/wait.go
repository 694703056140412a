package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// pollInterval is the time between two requests of a method that waits.
const pollInterval = 200 * time.Millisecond

// WaitRollout waits until a rollout of a workload has ended, the latest one if its
// number is 0, and calls show with every status on the way, the last one included. If
// another took its place meanwhile, the status has the outcome of the one that was
// waited for. It outlives a restart of the daemon. If ctx is cancelled first it returns
// ctx's error.
func (c *Client) WaitRollout(ctx context.Context, k local.Key, number int, show func(local.Status)) (local.Status, error) {
	s, err := c.waitRollout(ctx, k, number, show)
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
	for _, r := range o.Rollouts() {
		s, err := c.WaitRollout(ctx, local.Key{Namespace: r.Namespace, Kind: r.Kind, Name: r.Name}, r.Rollout, show)
		if err != nil {
			return nil, err
		}
		ended = append(ended, s)
	}
	return ended, nil
}

func (c *Client) waitRollout(ctx context.Context, k local.Key, number int, show func(local.Status)) (local.Status, error) {
	wasServing := false
	for {
		s, err := c.Status(ctx, k)
		switch {
		case ctx.Err() != nil:
			return s, ctx.Err()
		case isNotFound(err) && number != 0:
			return c.overtaken(ctx, local.Status{Key: k}, number) // a Job whose TTL is over
		case errors.Is(err, ErrNotServing) && wasServing:
			// The daemon may be restarting. The next one continues the rollout.
		case err != nil:
			return s, err
		case number != 0 && s.Rollout > number:
			if s, err = c.overtaken(ctx, s, number); err == nil {
				show(s)
			}
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

func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// overtaken returns a status with the outcome of an earlier rollout.
func (c *Client) overtaken(ctx context.Context, s local.Status, number int) (local.Status, error) {
	h, err := c.History(ctx, s.Key)
	if err != nil {
		return s, err
	}
	for _, a := range h.Rollouts {
		if a.Number == number {
			s.Rollout, s.Generation, s.Phase, s.Reason = a.Number, a.Generation, a.Outcome, a.Reason
			return s, nil
		}
	}
	return s, fmt.Errorf("%s: rollout %d is not in its history any more", s.Key, number)
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
