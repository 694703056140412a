package manifest

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A ClaimPlan is a PersistentVolumeClaim that is mounted in place of an emptyDir.
type ClaimPlan struct {
	Name string
	Size string // quantity that a claim which the file does not have shall request; empty if the cluster has it
}

// forClaim returns the plan of a mount as it is for a claim. A claim's root is not
// that of an emptyDir, which every user may write and which is empty:
//
//   - A new file system has lost+found in its root, beside which databases do not
//     begin. So the claim's subdirectory of the path's name is mounted.
//   - Its owner is root. So copy-up prepares it, unless the pod has an fsGroup
//     with which a kubelet does. It leaves a subdirectory alone that is there.
func (s *sealer) forClaim(m MountPlan) MountPlan {
	m.SubPath = cmp.Or(m.SubPath, contentName(m.MountPath))
	pod := s.w.Template.Spec.SecurityContext
	m.CopyUp = m.CopyUp || pod == nil || pod.FSGroup == nil
	return m
}

// claimed adds the volume of a claim, unless the pod has it already, and returns
// its name.
func (s *sealer) claimed(m MountPlan) (string, error) {
	name := m.Claim.Name
	volume := ""
	for _, v := range s.w.Template.Spec.Volumes {
		if s.w.UsesClaim(v.Name, name) {
			volume = v.Name
		}
	}
	if volume == "" {
		volume = s.take(s.volumes, slug(m.MountPath))
		s.ops = append(s.ops, s.w.Append("spec.volumes", Fields{
			{"name", volume}, {"persistentVolumeClaim", Fields{{"claimName", name}}},
		}))
		return volume, nil
	}
	for _, c := range slices.Concat(s.w.Template.Spec.InitContainers, s.w.Template.Spec.Containers) {
		for _, mount := range c.VolumeMounts {
			if mount.Name == volume {
				return "", fmt.Errorf("claim %s is mounted at %s in container %s already: it has the files of one path", name, mount.MountPath, c.Name)
			}
		}
	}
	return volume, nil
}

// UsesClaim reports whether a volume of the workload's pods is a claim of a name,
// or that of a volumeClaimTemplate of the name.
func (w Workload) UsesClaim(volume, name string) bool {
	if volume == name && w.hasClaimTemplate(name) {
		return true
	}
	t, _ := template(w.Object) // w.Template has an empty volume in place of the claim
	return t != nil && slices.ContainsFunc(t.Spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == volume && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name
	})
}

// hasClaimTemplate reports whether the workload is a StatefulSet with a
// volumeClaimTemplate of a name.
func (w Workload) hasClaimTemplate(name string) bool {
	set, ok := w.Object.(*appsv1.StatefulSet)
	return ok && slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(c corev1.PersistentVolumeClaim) bool { return c.Name == name })
}

// HasClaim reports whether the file has a PersistentVolumeClaim of a name in the
// workload's namespace, or the workload a volumeClaimTemplate of that name.
func (f File) HasClaim(w Workload, name string) bool {
	return w.hasClaimTemplate(name) || slices.ContainsFunc(f.objects, func(o object) bool {
		return o.kind == "PersistentVolumeClaim" && o.apiVersion == "v1" && o.namespaceHere() == w.Namespace && o.name == name
	})
}

// AddClaim returns an op that adds a PersistentVolumeClaim for a workload to the
// file, as a document of its own.
func (w Workload) AddClaim(c ClaimPlan) Op {
	meta := Fields{{"name", c.Name}}
	if n, ok := w.node.get("metadata"); ok {
		if namespace, ok := n.value.get("namespace"); ok && !namespace.value.isNull() {
			meta = append(meta, Field{"namespace", w.Namespace})
		}
	}
	return Op{Action: Add, object: w.index, Value: Fields{
		{"apiVersion", "v1"},
		{"kind", "PersistentVolumeClaim"},
		{"metadata", meta},
		{"spec", Fields{
			{"accessModes", []string{"ReadWriteOnce"}},
			{"resources", Fields{{"requests", Fields{{"storage", c.Size}}}}},
		}},
	}}
}
