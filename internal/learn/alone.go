package learn

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// Alone is a container of a profile in a pod of its own, as it is after sealing.
type Alone struct {
	Container profile.Container
	OfImage   bool // the profile fits each container of its image
	Pod       corev1.PodSpec
}

// SealAlone seals the containers of a profile, each in a pod that has nothing else. Volumes
// are filled by the programs of the container's own image.
//
// A profile that failed its proof or has writes that no volume can allow is an error, unless
// acceptWeak. note is called with what the user should know about it.
func SealAlone(p profile.Profile, acceptWeak bool, note func(string)) ([]Alone, error) {
	if err := checkVerdict("FILE", p, acceptWeak, note); err != nil {
		return nil, err
	}
	var all []Alone
	for _, c := range p.Containers {
		pod, err := sealAlone(c)
		if err != nil {
			return nil, fmt.Errorf("%s, container %s: %w", Called(p), c.Name, err)
		}
		all = append(all, Alone{Container: c, OfImage: OfImage(p), Pod: pod})
	}
	return all, nil
}

func sealAlone(c profile.Container) (corev1.PodSpec, error) {
	if c.CopyTools != nil && !*c.CopyTools && fillsVolumes(c) {
		return corev1.PodSpec{}, fmt.Errorf("image %s has not the programs to fill volumes: seal its manifest instead, with --copy-up-image", c.Image)
	}
	file, err := forImage(c.Image, c.Name)
	if err != nil {
		return corev1.PodSpec{}, err
	}
	ops, err := manifest.Sealing(file.Workloads()[0], []manifest.ContainerPlan{containerPlan(c)}, manifest.SealOptions{Form: manifest.OwnImage})
	if err != nil {
		return corev1.PodSpec{}, err
	}
	sealed, err := file.Edited(ops...)
	if err != nil {
		return corev1.PodSpec{}, err
	}
	return sealed.Workloads()[0].Template.Spec, nil
}

func fillsVolumes(c profile.Container) bool {
	for _, v := range c.Volumes {
		if v.CopyUp {
			return true
		}
	}
	return false
}
