package learn

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/learn/profile"
)

// leastUsed is the size of a volume that was measured and has nothing in it, in
// bytes: one block. In a profile, no size means that it was not measured.
const leastUsed = 4096

// recordUse sets Used of a profile's volumes to the most bytes that each had in a
// trial of the workload that the profile sealed. A file that was removed while it
// was open, or that existed only between two measurements, is in no directory
// that was measured. So a volume had at least the size of its largest file, which
// is in the traces, or in the profile's writes if it was on the root file system.
func recordUse(p *profile.Profile, sealed Workload, t trial) {
	for i := range p.Containers {
		c := &p.Containers[i]
		mounts := sealed.mounts(c.Name)
		for j := range c.Volumes {
			v := &c.Volumes[j]
			used, measured := t.Used[mounts[v.MountPath]]
			if !measured {
				continue
			}
			for _, trace := range tracesOf(t.Traces, c.Name) {
				for _, a := range trace.Accesses {
					if a.Mount == v.MountPath && a.Errno == "" {
						used = max(used, a.Bytes)
					}
				}
			}
			for _, w := range c.Writes {
				// Under a name with "*" several files are added up.
				if isBelow(w.Path, v.MountPath) && !strings.Contains(w.Path, "*") {
					used = max(used, w.Bytes)
				}
			}
			v.Used = max(v.Used, used, leastUsed)
		}
	}
}

// isBelow reports whether a path is a directory or lies in it.
func isBelow(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// mounts returns the volumes of a container by mount path.
func (s Workload) mounts(container string) map[string]string {
	out := map[string]string{}
	spec := s.Object.Template.Spec
	eachContainer(&spec, func(c *corev1.Container) {
		if c.Name != container {
			return
		}
		for _, m := range c.VolumeMounts {
			out[m.MountPath] = m.Name
		}
	})
	return out
}
