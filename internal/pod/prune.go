package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// PruneOptions selects the images that PruneImages removes. The zero value selects those
// without a name: a later image has it now.
type PruneOptions struct {
	All       bool          // also images with a name
	OlderThan time.Duration // since they were loaded or pulled
	Dry       bool          // removes nothing
	// Enough ends the removal before the next image. It may be nil.
	Enough func() (bool, error)
}

func (o PruneOptions) selects(i Image, now time.Time) bool {
	return (o.All || len(i.Names) == 0) && !now.Before(i.Loaded.Add(o.OlderThan))
}

// PruneImages removes images that nothing uses, those first that were loaded first, and
// returns them. An image is used by each pod that has it in its specification, also while
// the pod is being created or has ended, by a container, and by a pin, as of a generation
// that may run again. If an error is returned, so are the images that were removed before.
func (e *Engine) PruneImages(ctx context.Context, o PruneOptions) ([]Image, error) {
	all, err := e.daemon.Images(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Image) int { return a.Loaded.Compare(b.Loaded) })
	var removed []Image
	now := time.Now()
	for _, img := range all {
		if !o.selects(img, now) {
			continue
		}
		if o.Enough != nil {
			if enough, err := o.Enough(); enough || err != nil {
				return removed, err
			}
		}
		gone, err := e.pruneImage(ctx, img, o.Dry)
		if err != nil {
			return removed, fmt.Errorf("prune images: %w", err)
		}
		if gone {
			removed = append(removed, img)
		}
	}
	return removed, nil
}

// pruneImage removes an image if nothing uses it. Meanwhile no other pod can be created:
// the record of a pod, with its images, exists before its images are looked up.
func (e *Engine) pruneImage(ctx context.Context, img Image, dry bool) (removed bool, err error) {
	names, err := e.lockNames()
	if err != nil {
		return false, err
	}
	defer names.release()
	used, err := e.podsUse(ctx, img)
	if used || err != nil {
		return false, err
	}
	if dry {
		err = e.daemon.CheckUnused(ctx, img)
	} else {
		err = e.daemon.RemoveImage(ctx, img.ID.String())
	}
	if errors.Is(err, containerd.ErrImageInUse) || errors.Is(err, containerd.ErrImagePinned) || errors.Is(err, ErrNoImage) {
		return false, nil
	}
	return err == nil, err
}

// podsUse reports whether a pod of this root has an image in its specification. A pod whose
// record cannot be read may use any.
func (e *Engine) podsUse(ctx context.Context, img Image) (bool, error) {
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return false, err
	}
	for _, uid := range uids {
		rec, err := readRecord(newLayout(e.opts.Root, uid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is gone
		}
		if err != nil {
			return false, err
		}
		for _, ref := range imagesOf(&rec.Spec.Spec) {
			other, err := e.daemon.Image(ctx, ref)
			if errors.Is(err, ErrNoImage) {
				continue
			}
			if err != nil {
				return false, err
			}
			if other.ID == img.ID {
				return true, nil
			}
		}
	}
	return false, nil
}

// imagesOf returns the references of all images of a pod.
func imagesOf(s *corev1.PodSpec) []string {
	var refs []string
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		refs = append(refs, c.Image)
	}
	for _, v := range s.Volumes {
		if v.Image != nil && v.Image.Reference != "" {
			refs = append(refs, v.Image.Reference)
		}
	}
	return refs
}
