package cluster

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// The annotations and the label that the Deployment controller sets on ReplicaSets
// (k8s.io/kubernetes/pkg/controller/deployment/util).
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	historyAnnotation  = "deployment.kubernetes.io/revision-history"
	hashLabel          = appsv1.DefaultDeploymentUniqueLabelKey
)

// generation returns the first revision of a ReplicaSet. The revision itself does
// not identify it: the Deployment controller raises it when the ReplicaSet is rolled
// back to, and keeps those before in the history.
func generation(rs *appsv1.ReplicaSet) int {
	first, _, _ := strings.Cut(rs.Annotations[historyAnnotation], ",")
	if n, err := strconv.Atoi(first); err == nil {
		return n
	}
	return revision(rs)
}

func revision(rs *appsv1.ReplicaSet) int {
	n, _ := strconv.Atoi(rs.Annotations[revisionAnnotation]) // 0 if there is none yet
	return n
}

// nextGeneration returns the generation that the next ReplicaSet will have.
func nextGeneration(sets []*appsv1.ReplicaSet) int {
	last := 0
	for _, rs := range sets {
		last = max(last, revision(rs))
	}
	return last + 1
}

func ofGeneration(sets []*appsv1.ReplicaSet, n int) *appsv1.ReplicaSet {
	for _, rs := range sets {
		if generation(rs) == n {
			return rs
		}
	}
	return nil
}

// matching returns the ReplicaSet that the Deployment controller takes for the
// Deployment's template: the oldest with the same template except for the hash.
func matching(d *appsv1.Deployment, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	var found *appsv1.ReplicaSet
	for _, rs := range sets {
		if sameTemplate(rs.Spec.Template, d.Spec.Template) &&
			(found == nil || rs.CreationTimestamp.Before(&found.CreationTimestamp)) {
			found = rs
		}
	}
	return found
}

// sameTemplate reports whether two templates differ in no more than the hash.
func sameTemplate(a, b corev1.PodTemplateSpec) bool {
	return equality.Semantic.DeepEqual(withoutHash(a), withoutHash(b))
}

func withoutHash(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	t = *t.DeepCopy()
	delete(t.Labels, hashLabel)
	return t
}

func withEntry(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// stable returns the ReplicaSet to roll back to: the last one that completed
// its rollout if it has available pods, or else the one with the most available
// pods, which another client may have rolled out.
func stable(last int, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	var available []*appsv1.ReplicaSet
	for _, rs := range sets {
		if rs.Status.AvailableReplicas == 0 {
			continue
		}
		if generation(rs) == last {
			return rs
		}
		available = append(available, rs)
	}
	if len(available) == 0 {
		return nil
	}
	return slices.MaxFunc(available, func(a, b *appsv1.ReplicaSet) int {
		return int(a.Status.AvailableReplicas - b.Status.AvailableReplicas)
	})
}
