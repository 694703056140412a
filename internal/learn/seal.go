package learn

import (
	"errors"
	"fmt"
	"io"
	"slices"

	udiff "github.com/aymanbagabas/go-udiff"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// SealAll seals several files by the same profiles; see Seal. A file without
// workloads is left as it is if another has some.
func SealAll(files []manifest.File, profiles []profile.Profile, opts manifest.SealOptions) (SealedFiles, error) {
	list := SealedFiles{List: document.NewList[SealedManifest](document.SealedManifestList, nil)}
	var none error
	found := false
	for _, f := range files {
		sealed, left, err := Seal(f, profiles, opts)
		if errors.Is(err, errNoWorkload) {
			none, sealed = err, f.Content()
		} else if err != nil {
			return list, err
		} else {
			found = true
		}
		list.Left = append(list.Left, left...)
		list.Items = append(list.Items, SealedManifest{
			Header: document.NewHeader(document.SealedManifest), File: f.Name, Manifest: string(sealed),
		})
	}
	if !found {
		return list, none
	}
	return list, nil
}

var errNoWorkload = errors.New("no workload in it to seal")

// Seal returns the bytes of a manifest in which the root of every container is
// read-only and the volumes of its profile are mounted. A workload without a
// profile, or a container that its profile does not have, is an error, because
// its writes are unknown. See CheckProfiles. Of a kind that Adamant does not run, such a workload is
// left as it is and returned as one that is not sealed.
func Seal(f manifest.File, profiles []profile.Profile, opts manifest.SealOptions) (sealed []byte, left manifest.Errors, err error) {
	var ops []manifest.Op
	for _, w := range f.Workloads() {
		s := Workload{f, w}
		p, err := s.profileIn(profiles)
		if err != nil {
			return nil, nil, err
		}
		more, err := s.sealing(p, opts)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, more...)
		ops = append(ops, s.newClaims(p)...)
	}
	shaped, left := f.Shaped()
	for _, w := range shaped {
		s := Workload{f, w}
		p, err := s.profileIn(profiles)
		if err != nil {
			left = append(left, w.Errorf("spec.containers", "", "no profile of %s was given", s.Name()))
			continue
		}
		more, err := s.sealing(p, opts)
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, more...)
		ops = append(ops, s.newClaims(p)...)
	}
	if len(f.Workloads()) == 0 && len(shaped) == 0 && len(left) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", f.Name, errNoWorkload)
	}
	for i := range left {
		left[i].Detail = "not sealed: " + left[i].Detail
	}
	sealed, err = f.Apply(ops...)
	return sealed, left, err
}

// sealing returns the edits that seal the workload by a profile.
func (s Workload) sealing(p profile.Profile, opts manifest.SealOptions) ([]manifest.Op, error) {
	containers, err := s.fitting(p, func(string) bool { return false })
	if err != nil {
		return nil, err
	}
	var plans []manifest.ContainerPlan
	for _, c := range containers {
		plans = append(plans, containerPlan(c))
	}
	return manifest.Sealing(s.Object, plans, opts)
}

// fitting returns the containers of a profile of the workload, except of those that are
// left out. A profile that does not have a container, or another one of its name, is an
// error.
func (s Workload) fitting(p profile.Profile, leaveOut func(container string) bool) ([]profile.Container, error) {
	var containers []profile.Container
	for _, name := range s.containers() {
		i := slices.IndexFunc(p.Containers, func(c profile.Container) bool { return c.Name == name })
		switch {
		case leaveOut(name):
			continue
		case i < 0 && s.isSealed(name):
			continue // such as the one that copies up: nothing is to be guessed
		case i < 0:
			return nil, s.misfit(p, name, "the profile does not have this container")
		}
		c := p.Containers[i]
		if why := s.differs(p, c); why != "" {
			return nil, s.misfit(p, name, why)
		}
		containers = append(containers, c)
	}
	return containers, nil
}

// containerPlan returns the plan of a container by its profile.
func containerPlan(c profile.Container) manifest.ContainerPlan {
	plan := manifest.ContainerPlan{Container: c.Name, CopyTools: c.CopyTools}
	if c.User != nil {
		plan.UID, plan.GID = &c.User.UID, &c.User.GID
	}
	for _, v := range c.Volumes {
		plan.Mounts = append(plan.Mounts, mountPlan(v))
	}
	return plan
}

// mountPlan returns the mount of a profile's volume.
func mountPlan(v profile.Volume) manifest.MountPlan {
	m := manifest.MountPlan{
		MountPath: v.MountPath, SubPath: v.SubPath, Medium: v.Medium, SizeLimit: v.SizeLimit,
		CopyUp: v.CopyUp, File: v.File, Mode: uint32(v.Mode), UID: v.UID, GID: v.GID, KeepOwners: v.KeepOwners,
	}
	if v.Claim != nil {
		m.Claim = &manifest.ClaimPlan{Name: v.Claim.Name, Size: v.Claim.Size}
	}
	return m
}

// sealedBy returns the workload as it is after sealing.
func (s Workload) sealedBy(p profile.Profile) (Workload, error) {
	ops, err := s.sealing(p, manifest.SealOptions{Image: manifest.CopyUpImage})
	if err != nil {
		return s, err
	}
	f, err := s.File.Edited(ops...)
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
