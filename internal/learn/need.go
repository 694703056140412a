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
		need := policy.Need{Profile: Called(one.profile), Wrote: one.wrote}
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

// wrote is that of the container. The pod of an image has no volumes, so that its profile
// has all writes.
func (f fitted) wrote(dir string) (wrote, known bool) {
	wrote, known = f.container.Wrote(dir)
	return wrote, known || OfImage(f.profile)
}

// why returns the first writes for which a volume is.
func (f fitted) why(at string) string {
	i := slices.IndexFunc(f.container.Volumes, func(v profile.Volume) bool { return v.MountPath == at })
	return strings.Join(f.container.Volumes[i].Why, "; ")
}
