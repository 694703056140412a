package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
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

// holderLabel is on leases that a process of Adamant holds for the time of one request:
// its PID, its start in clock ticks since boot, and its PID namespace.
const holderLabel = "adamant.sh/holder"

// holder returns the holderLabel of a process. The error wraps fs.ErrNotExist or
// unix.ESRCH if it has ended.
func holder(pid int) (string, error) {
	started, err := startTicks(pid)
	if err != nil {
		return "", err
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	return fmt.Sprintf("%d %d %s", pid, started, space), err
}

// withLease returns a context in which all content and snapshots that are made have a
// lease, which end deletes. If failed is set, the garbage collector has removed them
// when end returns, unless they have names.
func (d *Daemon) withLease(ctx context.Context) (_ context.Context, end func(failed bool) error, err error) {
	if err := d.removeAbandoned(ctx); err != nil {
		return nil, nil, err
	}
	self, err := holder(os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	lm := d.client.LeasesService()
	lease, err := lm.Create(ctx, leases.WithRandomID(), leases.WithExpiration(leaseTime),
		leases.WithLabel(holderLabel, self))
	if err != nil {
		return nil, nil, fmt.Errorf("create lease: %w", err)
	}
	end = func(failed bool) error {
		var opts []leases.DeleteOpt
		if failed {
			opts = append(opts, leases.SynchronousDelete)
		}
		// The lease is gone if containerd was restarted meanwhile: see removeLeases.
		err := lm.Delete(context.WithoutCancel(ctx), lease, opts...)
		if err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete lease: %w", err)
		}
		return nil
	}
	return leases.WithLease(ctx, lease.ID), end, nil
}

// leaseTime is the time after which the garbage collector removes the content that a
// killed process has written, if no other process does so before.
const leaseTime = 24 * time.Hour

// removeAbandoned removes the leases of processes that were killed. A lease of another PID
// namespace stays until it expires.
func (d *Daemon) removeAbandoned(ctx context.Context) error {
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	return d.deleteLeases(ctx, func(lease leases.Lease) bool {
		label := lease.Labels[holderLabel]
		var pid int
		if _, err := fmt.Sscan(label, &pid); err != nil || !strings.HasSuffix(label, " "+space) {
			return false
		}
		now, err := holder(pid)
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && now != label
	})
}

// removeLeases removes the leases of requests that ended with an earlier daemon,
// because they would keep the content and snapshots of these requests for a day. A
// lease that was created after started may be in use.
func (d *Daemon) removeLeases(ctx context.Context, started time.Time) error {
	return d.deleteLeases(ctx, func(lease leases.Lease) bool {
		_, expires := lease.Labels[expireLabel]
		return expires && lease.CreatedAt.Before(started)
	})
}

func (d *Daemon) deleteLeases(ctx context.Context, isOver func(leases.Lease) bool) error {
	lm := d.client.LeasesService()
	all, err := lm.List(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, lease := range all {
		if !isOver(lease) {
			continue
		}
		if err := lm.Delete(ctx, lease, leases.SynchronousDelete); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete lease %s: %w", lease.ID, err)
		}
	}
	return nil
}
