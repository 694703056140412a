package learn

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/text"
)

// keepClaims removes the size of each claim that the files have, so that it is not
// added.
func keepClaims(f manifest.File, profiles []profile.Profile) {
	for _, s := range sealable(f) {
		p, _ := s.profileIn(profiles) // sealing reports that there is none
		for _, c := range p.Containers {
			for _, v := range c.Volumes {
				if v.Claim != nil && f.HasClaim(s.Object, v.Claim.Name) {
					v.Claim.Size = ""
				}
			}
		}
	}
}

// sealable returns the workloads of a manifest, also those of unknown kinds.
func sealable(f manifest.File) []Workload {
	var out []Workload
	shaped, _ := f.Shaped()
	for _, w := range slices.Concat(f.Workloads(), shaped) {
		out = append(out, Workload{f, w})
	}
	return out
}

// newClaims returns ops that add the claims of a profile to the workload's file,
// if they have a size.
func (s Workload) newClaims(p profile.Profile) []manifest.Op {
	var ops []manifest.Op
	for _, c := range p.Containers {
		mounted := s.mounts(c.Name)
		for _, v := range c.Volumes {
			if v.Claim == nil || v.Claim.Size == "" || mounted[v.MountPath] != "" {
				continue
			}
			ops = append(ops, s.Object.AddClaim(*mountPlan(v).Claim))
		}
	}
	return ops
}

// volumeNotes returns what someone has to know who seals a manifest with choices:
// which claims the cluster must have, which pods would share one, and which
// volumes exist already and do not change.
func volumeNotes(f manifest.File, profiles []profile.Profile) []string {
	var notes []string
	for _, s := range sealable(f) {
		p, _ := s.profileIn(profiles)
		for _, c := range p.Containers {
			notes = append(notes, s.volumeNotes(c)...)
		}
	}
	return notes
}

// volumeNotes returns the notes for the volumes of one container.
func (s Workload) volumeNotes(c profile.Container) []string {
	var notes []string
	for _, v := range c.Volumes {
		at := s.Name() + "/" + c.Name + ":" + text.Escape(v.MountPath)
		if volume := s.mounts(c.Name)[v.MountPath]; volume != "" {
			if !s.isLike(volume, v) {
				notes = append(notes, fmt.Sprintf("%s is volume %s already, which stays as it is", at, volume))
			}
		} else if v.Claim != nil {
			notes = append(notes, s.claimNotes(at, *v.Claim)...)
		}
	}
	return notes
}

// isLike reports whether a volume of the workload is as a profile asks. Whatever
// the profile leaves open may be different.
func (s Workload) isLike(volume string, v profile.Volume) bool {
	if v.Claim != nil {
		return s.Object.UsesClaim(volume, v.Claim.Name)
	}
	all := s.Object.Template.Spec.Volumes
	i := slices.IndexFunc(all, func(have corev1.Volume) bool { return have.Name == volume })
	if i < 0 || all[i].EmptyDir == nil {
		return v.SizeLimit == "" && v.Medium == ""
	}
	have := all[i].EmptyDir
	if v.Medium != "" && string(have.Medium) != v.Medium {
		return false
	}
	limit, err := resource.ParseQuantity(v.SizeLimit)
	return err != nil || have.SizeLimit != nil && have.SizeLimit.Cmp(limit) == 0
}

func (s Workload) claimNotes(at string, c profile.Claim) []string {
	var notes []string
	if c.Size == "" && !s.File.HasClaim(s.Object, c.Name) {
		notes = append(notes, fmt.Sprintf("%s is on claim %s, which the cluster must have; NAME:SIZE adds it to the file", at, c.Name))
	}
	if p := s.Object.Template.Spec.SecurityContext; p != nil && p.FSGroup == nil && (ptr.Deref(p.RunAsNonRoot, false) || ptr.Deref(p.RunAsUser, 0) > 0) {
		notes = append(notes, fmt.Sprintf("%s: the directory of a claim belongs to root: with the pod's fsGroup, no init container must be root to change that", at))
	}
	shared := ""
	switch o := s.Object.Object.(type) {
	case *appsv1.Deployment:
		if n := ptr.Deref(o.Spec.Replicas, 1); n > 1 {
			shared = fmt.Sprintf("its %d replicas share claim %s", n, c.Name)
		} else if o.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			shared = fmt.Sprintf("during an update two pods would use claim %s: set strategy.type: Recreate", c.Name)
		}
	case *appsv1.StatefulSet:
		if n := ptr.Deref(o.Spec.Replicas, 1); n > 1 && !s.File.HasClaim(s.Object, c.Name) {
			shared = fmt.Sprintf("its %d replicas share claim %s; a volumeClaimTemplate of this name gives each its own", n, c.Name)
		}
	case *appsv1.DaemonSet:
		shared = fmt.Sprintf("its pods on all nodes share claim %s", c.Name)
	}
	if shared != "" {
		notes = append(notes, fmt.Sprintf("%s: %s", at, shared))
	}
	return notes
}
