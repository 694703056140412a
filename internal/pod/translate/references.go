package translate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// References returns the names of the ConfigMaps and Secrets that a pod refers
// to.
func References(spec *corev1.PodSpec) (configMaps, secrets []string) {
	configs, hidden := map[string]bool{}, map[string]bool{}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			environmentReferences(&list[i], configs, hidden)
		}
	}
	for i := range spec.Volumes {
		volumeReferences(&spec.Volumes[i], configs, hidden)
	}
	return slices.Sorted(maps.Keys(configs)), slices.Sorted(maps.Keys(hidden))
}

func environmentReferences(c *corev1.Container, maps, secrets map[string]bool) {
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			maps[r.Name] = true
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			secrets[r.Name] = true
		}
	}
	for _, e := range c.EnvFrom {
		if e.ConfigMapRef != nil {
			maps[e.ConfigMapRef.Name] = true
		}
		if e.SecretRef != nil {
			secrets[e.SecretRef.Name] = true
		}
	}
}

func volumeReferences(v *corev1.Volume, maps, secrets map[string]bool) {
	if v.ConfigMap != nil {
		maps[v.ConfigMap.Name] = true
	}
	if v.Secret != nil {
		secrets[v.Secret.SecretName] = true
	}
	if v.Projected == nil {
		return
	}
	for _, s := range v.Projected.Sources {
		if s.ConfigMap != nil {
			maps[s.ConfigMap.Name] = true
		}
		if s.Secret != nil {
			secrets[s.Secret.Name] = true
		}
	}
}
