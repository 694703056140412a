package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// expireLabel is on leases that are held for the time of one request only: an
// import, or a container that the runtime creates. Containerd 2 also has leases of
// sandboxes, which do not expire.
const expireLabel = "containerd.io/gc.expire"

// removeUnfinished removes what an earlier daemon, which was killed, did not
// finish. What this daemon has begun stays.
func (d *Daemon) removeUnfinished(ctx context.Context) error {
	p, err := findProcess(d.layout)
	if err != nil {
		return err
	}
	if p == nil {
		return errors.New("the daemon ended")
	}
	defer p.close()
	started, err := startTicks(p.pid)
	if err != nil {
		return err
	}
	if err := d.removeShims(ctx, started); err != nil {
		return fmt.Errorf("remove shims: %w", err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	age := time.Duration(now.Nano()) - time.Duration(started)*time.Second/ticksPerSecond
	return d.removeLeases(ctx, time.Now().Add(-age))
}

// removeLeases removes the leases of requests that ended with an earlier daemon,
// because they would keep the content and snapshots of these requests for a day. A
// lease that was created after started may be in use.
func (d *Daemon) removeLeases(ctx context.Context, started time.Time) error {
	lm := d.client.LeasesService()
	all, err := lm.List(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, lease := range all {
		if _, expires := lease.Labels[expireLabel]; !expires || !lease.CreatedAt.Before(started) {
			continue
		}
		if err := lm.Delete(ctx, lease, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete lease %s: %w", lease.ID, err)
		}
	}
	return nil
}
