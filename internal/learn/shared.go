package learn

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/learn/profile"
)

// An AmbiguousImageError is returned for an image that is not pinned, and of which a folder
// has profiles with several digests.
type AmbiguousImageError struct {
	File                string // manifest
	Workload, Container string
	Image               string
	Profiles            [2]string // two of them, with their files
	Digests             [2]string
}

func (e *AmbiguousImageError) Error() string {
	return fmt.Sprintf("%s: %s, container %s: image %s is not pinned, and there are profiles of two images of this name: %s is of %.19s, %s is of %.19s",
		e.File, e.Workload, e.Container, e.Image, e.Profiles[0], e.Digests[0], e.Profiles[1], e.Digests[1])
}

// Mend returns what to do instead.
func (e *AmbiguousImageError) Mend() string {
	return "pin the image by its digest, or remove the profile of the one that is no longer used"
}

// sharedByName returns the fitting by a shared profile of the workload's name. Others may
// have workloads of this name, so that a profile which does not fit is passed over.
func (f Fitter) sharedByName(s Workload, leaveOut func(container string) bool) (Fitting, error) {
	fits := func(p profile.Profile) bool {
		if p.Name != s.Name() || OfImage(p) {
			return false
		}
		_, err := s.fitting(p, leaveOut)
		return err == nil
	}
	i, err := f.best(s, "", fits)
	if i < 0 || err != nil {
		return Fitting{}, err
	}
	p := f.Shared[i]
	containers, err := s.fitting(p, leaveOut)
	if err != nil {
		return Fitting{}, err
	}
	fit := Fitting{Shared: []int{i}}
	for _, c := range containers {
		fit.add(fitted{c, p})
	}
	return fit, f.check(s, p, &fit)
}

// sharedOfImage returns the index of the shared profile of a container's image, or -1.
func (f Fitter) sharedOfImage(s Workload, container string) (int, error) {
	return f.best(s, container, func(p profile.Profile) bool {
		return s.imageProfile([]profile.Profile{p}, container) == 0
	})
}

// best returns the index of the shared profile that fits and has the best verdict, or -1. If
// container is empty, the profiles are of the workload, otherwise of the container's image.
// Profiles of different images are an error, because it is unknown which the cluster runs.
func (f Fitter) best(s Workload, container string, fits func(profile.Profile) bool) (int, error) {
	found := -1
	for i, p := range f.Shared {
		if !fits(p) {
			continue
		}
		if found < 0 {
			found = i
			continue
		}
		if err := s.sameDigests(container, f.Shared[found], p); err != nil {
			return -1, err
		}
		if rank(p) < rank(f.Shared[found]) {
			found = i
		}
	}
	return found, nil
}

// sameDigests returns an error if two profiles of the workload or of the container's image
// have different digests.
func (s Workload) sameDigests(container string, a, b profile.Profile) error {
	for _, c := range a.Containers {
		i := slices.IndexFunc(b.Containers, func(other profile.Container) bool { return other.Name == c.Name || container != "" })
		if i >= 0 && b.Containers[i].Digest != c.Digest {
			return &AmbiguousImageError{
				File: s.File.Name, Workload: s.Name(), Container: cmp.Or(container, c.Name), Image: c.Image,
				Profiles: [2]string{Called(a), Called(b)}, Digests: [2]string{c.Digest, b.Containers[i].Digest},
			}
		}
	}
	return nil
}

// rank returns the position of a profile's verdict, from proven to unproven and unsolved.
func rank(p profile.Profile) int {
	if len(p.Unsolved()) > 0 {
		return 4
	}
	return slices.Index([]profile.Verdict{profile.Proven, profile.Weak, "", profile.Unproven}, p.Verdict)
}
