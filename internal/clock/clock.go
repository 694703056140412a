// Package clock waits for time to pass.
package clock

import (
	"context"
	"time"
)

// Sleep returns nil after d, or the context's cause as soon as the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
