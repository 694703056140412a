package learn

import (
	"context"
	"errors"
	"fmt"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod"
)

// ReplacedImageError is returned for a profile of an image that was replaced since
// it was learned.
type ReplacedImageError struct {
	File                string // manifest
	Workload, Container string
	Image               string // reference in the profile
	Learned, Loaded     string // digests
}

func (e *ReplacedImageError) Error() string {
	return fmt.Sprintf("%s, container %s: the profile is of %s with %.19s, but that is now %.19s", e.Workload, e.Container, e.Image, e.Learned, e.Loaded)
}

// Mend returns what to do instead.
func (e *ReplacedImageError) Mend() string {
	return "learn it anew: adamant learn " + e.File + "; or seal by the old profile all the same with --any-digest"
}

// images is the store of images; pod.Engine implements it.
type images interface {
	Image(ctx context.Context, ref string) (pod.Image, error)
}

// CheckDigests refuses profiles of images that were replaced since they were
// learned, because the writes of the new image are unknown. An image that is not
// loaded cannot be checked: note is called with its reference and the workload.
func CheckDigests(ctx context.Context, store images, file string, all []profile.Profile, note func(image, workload string)) error {
	for _, p := range all {
		if err := checkDigest(ctx, store, file, p, note); err != nil {
			return err
		}
	}
	return nil
}

func checkDigest(ctx context.Context, store images, file string, p profile.Profile, note func(image, workload string)) error {
	for _, c := range p.Containers {
		img, err := store.Image(ctx, c.Image)
		switch {
		case errors.Is(err, pod.ErrNoImage):
			note(c.Image, p.Name)
		case err != nil:
			return err
		case c.Digest != "" && c.Digest != img.Digest.String():
			return &ReplacedImageError{file, p.Name, c.Name, c.Image, c.Digest, img.Digest.String()}
		}
	}
	return nil
}

// profilesOf returns the profiles of a workload, such as "Deployment/web".
func profilesOf(all []profile.Profile, workload string) []profile.Profile {
	var out []profile.Profile
	for _, p := range all {
		if p.Name == workload {
			out = append(out, p)
		}
	}
	return out
}
