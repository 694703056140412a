package learn

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
)

// Needs returns what the containers of a workload need of their volumes, by their names:
// those that have a profile, and those that sealing added, of which that is known.
func (f Fitting) Needs(s Workload) (map[string]policy.Need, error) {
	needs := map[string]policy.Need{}
	for i, one := range f.by {
		missing, err := s.Object.Missing(f.Plans[i])
		if err != nil {
			return nil, err
		}
		need := policy.Need{Profile: Called(one.profile)}
		need.Wrote, need.Unknown = one.wrote(s)
		for _, m := range missing {
			need.Missing = append(need.Missing, policy.NeededVolume{Path: m.MountPath, Why: one.why(m.MountPath)})
		}
		needs[one.container.Name] = need
	}
	if len(needs) == 0 {
		return nil, nil
	}
	spec := s.Object.Template.Spec
	eachContainer(&spec, func(c *corev1.Container) {
		if manifest.IsCopyUp(*c) {
			needs[c.Name] = policy.Need{Fills: true}
		}
	})
	return needs, nil
}

// wrote returns Container.Wrote, and why it may not know. The pod of an image has no volumes,
// so that its profile has all writes, except those of another command or environment.
func (f fitted) wrote(s Workload) (wrote func(dir string) (wrote, known bool), unknown string) {
	if !OfImage(f.profile) {
		return f.container.Wrote, "it does not tell which volumes the container had, and wrote to, when it was learned; learn it anew"
	}
	spec, _ := containerOf(s.Object.Template.Spec, f.container.Name)
	asImage := len(spec.Command)+len(spec.Args)+len(spec.Env)+len(spec.EnvFrom) == 0
	return func(dir string) (wrote, known bool) {
		wrote, _ = f.container.Wrote(dir)
		return wrote, wrote || asImage
	}, "it is of the image, and the container has its own command or environment; learn the workload"
}

// why returns the first writes for which a volume is.
func (f fitted) why(at string) string {
	i := slices.IndexFunc(f.container.Volumes, func(v profile.Volume) bool { return v.MountPath == at })
	return strings.Join(f.container.Volumes[i].Why, "; ")
}
