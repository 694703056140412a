package learn

import (
	"fmt"
	"io"
	"slices"

	udiff "github.com/aymanbagabas/go-udiff"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// Seal returns the bytes of a manifest in which the root of every container is
// read-only and the volumes of its profile are mounted. A workload without a
// profile, or a container that its profile does not have, is an error, because
// its writes are unknown.
func Seal(f manifest.File, profiles []profile.Profile, opts manifest.SealOptions) ([]byte, error) {
	workloads := f.Workloads()
	if len(workloads) == 0 {
		return nil, fmt.Errorf("%s: no workload in it to seal", f.Name)
	}
	var ops []manifest.Op
	for _, w := range workloads {
		s := Workload{f, w}
		p, err := s.profileIn(profiles)
		if err != nil {
			return nil, err
		}
		more, err := s.sealing(p, opts)
		if err != nil {
			return nil, err
		}
		ops = append(ops, more...)
		ops = append(ops, s.newClaims(p)...)
	}
	return f.Apply(ops...)
}

// profileIn returns the workload's profile. The profile of an image also
// applies to a pod with one container.
func (s Workload) profileIn(profiles []profile.Profile) (profile.Profile, error) {
	for _, p := range profiles {
		if p.Name == s.Name() {
			return p, nil
		}
	}
	containers := s.containers()
	if len(profiles) == 1 && len(containers) == 1 && len(profiles[0].Containers) == 1 && profiles[0].Containers[0].Image == s.image(containers[0]) {
		p := profiles[0]
		p.Containers = slices.Clone(p.Containers)
		p.Containers[0].Name = containers[0]
		return p, nil
	}
	return profile.Profile{}, fmt.Errorf("%s: no profile of %s was given; learn it with: adamant learn %s", s.File.Name, s.Name(), s.File.Name)
}

// sealing returns the edits that seal the workload by a profile.
func (s Workload) sealing(p profile.Profile, opts manifest.SealOptions) ([]manifest.Op, error) {
	var plans []manifest.ContainerPlan
	for _, name := range s.containers() {
		i := slices.IndexFunc(p.Containers, func(c profile.Container) bool { return c.Name == name })
		if i < 0 && s.isSealed(name) {
			continue // such as the one that copies up: nothing is to be guessed
		}
		if i < 0 {
			return nil, fmt.Errorf("%s: the profile of %s does not know container %s: learn it anew", s.File.Name, s.Name(), name)
		}
		c := p.Containers[i]
		if c.Image != s.image(name) {
			return nil, fmt.Errorf("%s: container %s has image %s, but the profile is of %s: learn it anew", s.File.Name, name, s.image(name), c.Image)
		}
		plan := manifest.ContainerPlan{Container: name}
		for _, v := range c.Volumes {
			plan.Mounts = append(plan.Mounts, mountPlan(v))
		}
		plans = append(plans, plan)
	}
	return manifest.Sealing(s.Object, plans, opts)
}

// mountPlan returns the mount of a profile's volume.
func mountPlan(v profile.Volume) manifest.MountPlan {
	m := manifest.MountPlan{
		MountPath: v.MountPath, SubPath: v.SubPath, Medium: v.Medium, SizeLimit: v.SizeLimit,
		CopyUp: v.CopyUp, File: v.File, Mode: v.Mode, UID: v.UID, GID: v.GID,
	}
	if v.Claim != nil {
		m.Claim = &manifest.ClaimPlan{Name: v.Claim.Name, Size: v.Claim.Size}
	}
	return m
}

// sealedBy returns the workload as it is after sealing.
func (s Workload) sealedBy(p profile.Profile) (Workload, error) {
	ops, err := s.sealing(p, manifest.SealOptions{})
	if err != nil {
		return s, err
	}
	data, err := s.File.Apply(ops...)
	if err != nil {
		return s, err
	}
	f, err := manifest.Parse(s.File.Name, data)
	if err != nil {
		return s, err
	}
	for _, w := range f.Workloads() {
		if w.Kind == s.Object.Kind && w.Namespace == s.Object.Namespace && w.Name == s.Object.Name {
			return Workload{f, w}, nil
		}
	}
	return s, fmt.Errorf("%s: %s is gone after sealing", s.File.Name, s.Name())
}

// containers returns the names of all containers, init containers first.
func (s Workload) containers() []string {
	var out []string
	spec := s.Object.Template.Spec
	eachContainer(&spec, func(c *corev1.Container) { out = append(out, c.Name) })
	return out
}

func (s Workload) image(container string) string {
	image := ""
	spec := s.Object.Template.Spec
	eachContainer(&spec, func(c *corev1.Container) {
		if c.Name == container {
			image = c.Image
		}
	})
	return image
}

// unsealed returns the containers that can write to their root.
func (s Workload) unsealed() []string {
	var out []string
	spec := s.Object.Template.Spec
	eachContainer(&spec, func(c *corev1.Container) {
		if sc := c.SecurityContext; sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
			out = append(out, c.Name)
		}
	})
	return out
}

func (s Workload) isSealed(container string) bool { return !slices.Contains(s.unsealed(), container) }

// WriteSealDiff writes the difference between a manifest and its sealed form.
func WriteSealDiff(w io.Writer, f manifest.File, sealed []byte) error {
	before, err := f.Apply() // the file as it is
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, udiff.Unified(f.Name, f.Name+" (sealed)", string(before), string(sealed)))
	return err
}
