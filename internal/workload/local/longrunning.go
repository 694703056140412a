package local

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// SplitLongRunning splits a manifest into workloads that run until they are
// deleted and workloads that run once: kept has Deployments, ReplicaSets, StatefulSets,
// DaemonSets, Pods with restartPolicy Always that a Service of the manifest
// selects, and the Services of all those and of external names. ConfigMaps,
// Secrets and PersistentVolumeClaims are in both parts.
func SplitLongRunning(f manifest.File) (kept, rest manifest.File) {
	services, _ := f.Services() // errors are reported when it is applied
	keeps := map[Key]bool{}
	for _, w := range f.Workloads() {
		before := servicesOf(w, services)
		if !isLongRunning(w, len(before) > 0) {
			continue
		}
		keeps[Key{w.Namespace, w.Kind, w.Name}] = true
		for _, s := range before {
			keeps[Key{namespaceOf(s.ObjectMeta), "Service", s.Name}] = true
		}
	}
	for _, s := range services {
		if isExternal(&s) && len(keeps) > 0 { // a name for all of them
			keeps[Key{namespaceOf(s.ObjectMeta), "Service", s.Name}] = true
		}
	}
	isFor := func(kept bool) func(kind, namespace, name string) bool {
		return func(kind, namespace, name string) bool {
			return kind == "ConfigMap" || kind == "Secret" || kind == "PersistentVolumeClaim" || keeps[Key{namespace, kind, name}] == kept
		}
	}
	return f.Select(isFor(true)), f.Select(isFor(false))
}

// Validate returns an error for each field of a manifest that a Controller does
// not support.
func Validate(f manifest.File) error {
	_, err := parseDeclaration(f)
	return err
}

func isLongRunning(w manifest.Workload, hasService bool) bool {
	switch w.Kind {
	case "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet":
		return true
	case "Pod":
		return hasService && w.Template.Spec.RestartPolicy == corev1.RestartPolicyAlways
	}
	return false
}

// servicesOf returns the Services that select a workload's pods.
func servicesOf(w manifest.Workload, services []corev1.Service) []corev1.Service {
	return slices.DeleteFunc(slices.Clone(services), func(s corev1.Service) bool {
		return namespaceOf(s.ObjectMeta) != w.Namespace || !selects(s.Spec.Selector, w.Template.Labels)
	})
}
