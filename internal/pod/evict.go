package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/translate"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// An EvictedError is returned when a pod was stopped because it exceeded a limit
// that the kernel does not enforce.
type EvictedError struct{ Reason string }

// Error returns the reason.
func (e *EvictedError) Error() string { return "evicted: " + e.Reason }

func isEvicted(err error) bool {
	var evicted *EvictedError
	return errors.As(err, &evicted)
}

// Check measures the volumes of a pod and returns an *EvictedError if one is
// larger than its sizeLimit. Only volumes on disk are measured: the kernel
// enforces the size of a tmpfs, but common file systems have no quotas for
// directories.
func (p *Pod) Check() error {
	return checkSizes(&p.rec.Spec, newLayout(p.e.opts.Root, p.UID))
}

// VolumeUsage returns the bytes that each emptyDir of a pod has now, by the
// volume's name. After an error it has those that could be measured.
func (p *Pod) VolumeUsage() (map[string]int64, error) {
	l := newLayout(p.e.opts.Root, p.UID)
	used := map[string]int64{}
	var errs []error
	for _, vol := range p.rec.Spec.Spec.Volumes {
		if vol.EmptyDir == nil {
			continue
		}
		bytes, err := volume.Usage(l.Volume(translate.PluginEmptyDir, vol.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, fmt.Errorf("size of volume %s: %w", vol.Name, err))
			fallthrough // what was counted before the error is there
		default:
			used[vol.Name] = bytes
		}
	}
	return used, errors.Join(errs...)
}

// checkSizes is Pod.Check.
func checkSizes(s *PodSpec, l layout) error {
	for i := range s.Spec.Volumes {
		vol := &s.Spec.Volumes[i]
		if vol.EmptyDir == nil || vol.EmptyDir.SizeLimit == nil || vol.EmptyDir.Medium != "" || vol.EmptyDir.SizeLimit.IsZero() {
			continue
		}
		used, err := volume.Usage(l.Volume(translate.PluginEmptyDir, vol.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, volume.ErrTooDeep) { // else a pod could hide files from the limit
			return &EvictedError{fmt.Sprintf("volume %s cannot be held to its sizeLimit: %v", vol.Name, volume.ErrTooDeep)}
		}
		if err != nil {
			return fmt.Errorf("size of volume %s: %w", vol.Name, err)
		}
		if limit := vol.EmptyDir.SizeLimit; used > limit.Value() {
			return &EvictedError{fmt.Sprintf("volume %s holds %s, more than its sizeLimit of %s",
				vol.Name, resource.NewQuantity(used, resource.BinarySI), limit)}
		}
	}
	return nil
}

// enforce evicts the pod when it exceeds a limit: it stops the pod and ends its
// supervision with the reason. It returns when ctx ends.
func (w *worker) enforce(ctx context.Context, end context.CancelCauseFunc) error {
	tick := time.NewTimer(untilNextTick(enforceEvery))
	defer tick.Stop()
	var deadline <-chan time.Time
	if s := w.rec.Spec.Spec.ActiveDeadlineSeconds; s != nil {
		t := time.NewTimer(time.Until(w.rec.Created.Add(time.Duration(*s) * time.Second)))
		defer t.Stop()
		deadline = t.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-deadline:
			err = &EvictedError{fmt.Sprintf("it ran longer than its activeDeadlineSeconds of %d", *w.rec.Spec.Spec.ActiveDeadlineSeconds)}
		case <-tick.C:
			tick.Reset(untilNextTick(enforceEvery))
			w.rotateLogs(ctx)
			err = checkSizes(&w.rec.Spec, w.l)
		}
		// After other errors the next tick measures again.
		if isEvicted(err) {
			return w.evict(context.WithoutCancel(ctx), err, end)
		}
	}
}

// evict stops all containers for good.
func (w *worker) evict(ctx context.Context, reason error, end context.CancelCauseFunc) error {
	w.eventf("", "Evicted", "%v", reason)
	lock, err := w.e.lockPod(ctx, w.l)
	if err != nil {
		return w.stoppingError(err)
	}
	defer lock.release()
	w.readiness.end(reason.Error())
	end(reason)
	if err := durable.WriteFile(w.l.stopped(), []byte(reason.Error()), 0o600); err != nil {
		return err
	}
	return w.stopRunning(ctx, min(w.rec.Spec.GracePeriod(), 2))
}
