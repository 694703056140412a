package manifest

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// standIns replaces each claim to a persistent volume, which only a cluster
// has, by an empty volume. The workload can still be learned and proven,
// because its writes to the claim do not change its root. Notes reports the
// claim.
func standIns(t *corev1.PodTemplateSpec, typed any) {
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	volumes := t.Spec.Volumes
	for i := range volumes {
		if v := &volumes[i]; v.PersistentVolumeClaim != nil || v.Ephemeral != nil {
			v.VolumeSource = empty
		}
	}
	set, ok := typed.(*appsv1.StatefulSet)
	if !ok {
		return
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		// In Kubernetes, too, a claim replaces a volume of the same name.
		volumes = slices.DeleteFunc(volumes, func(v corev1.Volume) bool { return v.Name == claim.Name })
		volumes = append(volumes, corev1.Volume{Name: claim.Name, VolumeSource: *empty.DeepCopy()})
	}
	t.Spec.Volumes = volumes
}
