package learn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

const (
	defaultDisk = 4 << 30   // bytes that a trial may write
	spareDisk   = 512 << 20 // bytes that a trial leaves free, or a twentieth of the disk if that is less
	guardEvery  = 500 * time.Millisecond
	guardShare  = 10               // at most one part in so many of the time measures directories
	lastMeasure = 10 * time.Second // at the most, for the measurement at the end
)

// A limitError is the limit that a trial exceeded. It is a result of the trial,
// unless the machine has too little space for any trial.
type limitError struct {
	reason  string
	machine bool
}

func (e *limitError) Error() string { return "stopped: " + e.reason }

// withLimits returns a context that ends, with a *limitError as its cause, when
// the pod of that name uses more than a trial may. stop measures it once more and
// ends the checks; it may be called again. Until then they record in used, by name,
// the most bytes that each volume had.
func (o Options) withLimits(ctx context.Context, p string, used map[string]int64) (_ context.Context, stop func()) {
	running, cancel := context.WithCancelCause(ctx)
	guarded, halt := context.WithCancel(running)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var next time.Time
		for clock.Sleep(guarded, guardEvery) == nil {
			err := o.diskIsFull()
			// A program can make directories that take long to measure.
			if begin := time.Now(); err == nil && begin.After(next) {
				err = o.overLimit(guarded, p, used)
				next = time.Now().Add(guardShare * time.Since(begin))
			}
			// Other errors are ignored, because a container that just ends
			// cannot be measured; the next round measures again.
			if isLimit(err) {
				cancel(err)
			}
		}
		if running.Err() == nil {
			// The rounds may have been far apart.
			last, end := context.WithTimeout(running, lastMeasure)
			defer end()
			if err := o.overLimit(last, p, used); isLimit(err) {
				cancel(err)
			}
		}
		cancel(nil)
	}()
	return running, func() {
		halt()
		<-done
	}
}

// brokenLimit returns the limit that ended a context of withLimits, or nil. Too
// little space on the machine is also an error: the workload did not cause it.
func brokenLimit(ctx context.Context) (limit *limitError, err error) {
	if errors.As(context.Cause(ctx), &limit) && limit.machine {
		err = limit
	}
	return limit, err
}

func isLimit(err error) bool {
	var limit *limitError
	return errors.As(err, &limit)
}

// diskIsFull returns a *limitError if the disk of the engine has too little
// space for any trial.
func (o Options) diskIsFull() error {
	var disk unix.Statfs_t
	if err := unix.Statfs(o.Engine.Root(), &disk); err != nil {
		return fmt.Errorf("free space in %s: %w", o.Engine.Root(), err)
	}
	size := int64(disk.Frsize)
	if free := int64(disk.Bavail) * size; free < min(spareDisk, int64(disk.Blocks)*size/20) {
		return &limitError{fmt.Sprintf("the disk of %s is nearly full: %s are free", o.Engine.Root(), quantity(free)), true}
	}
	return nil
}

// overLimit measures a pod, adds to used, and returns a *limitError if the pod
// has more than a trial may.
func (o Options) overLimit(ctx context.Context, name string, used map[string]int64) error {
	p, err := o.Engine.Find(ctx, name)
	if err != nil {
		return err
	}
	var evicted *pod.EvictedError
	if err := p.Check(); errors.As(err, &evicted) {
		return &limitError{reason: evicted.Reason}
	}
	most := o.Disk
	if most <= 0 {
		most = defaultDisk
	}
	onRoot, err := written(ctx, p)
	if onRoot > most {
		return &limitError{reason: fmt.Sprintf("it wrote %s to its root file system, more than the %s that a trial may", quantity(onRoot), quantity(most))}
	}
	volumes, volumesErr := p.VolumeUsage()
	for name, bytes := range volumes {
		used[name] = max(used[name], bytes)
	}
	return errors.Join(err, volumesErr)
}

// written returns the number of bytes that the containers of a pod have on
// disk.
func written(ctx context.Context, p *pod.Pod) (total int64, err error) {
	for i := range p.Containers {
		c := &p.Containers[i]
		if c.ID == "" {
			continue
		}
		m, mountErr := p.Overlay(ctx, c)
		if mountErr != nil || m.Upper == "" {
			err = errors.Join(err, mountErr)
			continue
		}
		used, usageErr := pod.DiskUsage(m.Upper)
		total += used
		if !errors.Is(usageErr, fs.ErrNotExist) {
			err = errors.Join(err, usageErr)
		}
	}
	return total, err
}

func quantity(bytes int64) string {
	return resource.NewQuantity(bytes, resource.BinarySI).String()
}
