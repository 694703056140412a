package learn

import "github.com/adamant-sh/adamant/internal/learn/profile"

// add merges an earlier profile into a new one and plans the volumes again for
// the writes of both.
func add(p, earlier profile.Profile, roots containerRoots) (profile.Profile, error) {
	sum, err := profile.Merge(p, earlier)
	if err != nil {
		return p, err
	}
	for i, c := range sum.Containers {
		if s, ok := roots[c.Name]; ok {
			sum.Containers[i] = profile.Plan(c, s.Rootfs)
		}
	}
	return sum, nil
}
