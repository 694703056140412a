package cluster

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/dump"
)

// The annotations and the label that the Deployment controller sets on ReplicaSets
// (k8s.io/kubernetes/pkg/controller/deployment/util).
const (
	revisionAnnotation = "deployment.kubernetes.io/revision"
	desiredAnnotation  = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation      = "deployment.kubernetes.io/max-replicas"
	hashLabel          = appsv1.DefaultDeploymentUniqueLabelKey
)

// generationLabel holds a ReplicaSet's generation. The revision does not
// identify it: the Deployment controller raises the revision of a ReplicaSet
// after a rollback. It is a label because the controller overwrites annotations
// with those of the Deployment.
const generationLabel = "adamant.sh/generation"

// generation returns the label or, if there is none, the revision.
func generation(rs *appsv1.ReplicaSet) int {
	if n, err := strconv.Atoi(rs.Labels[generationLabel]); err == nil {
		return n
	}
	return revision(rs)
}

func revision(rs *appsv1.ReplicaSet) int {
	n, _ := strconv.Atoi(rs.Annotations[revisionAnnotation]) // 0 if there is none yet
	return n
}

// nextGeneration returns a number that no ReplicaSet has or will be given.
func nextGeneration(sets []*appsv1.ReplicaSet) int {
	last := 0
	for _, rs := range sets {
		last = max(last, generation(rs), revision(rs))
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

// newReplicaSet returns the ReplicaSet that the Deployment controller would
// create for the Deployment's template, without replicas and with our label. It
// lacks the annotation desired-replicas until the rollout is over: with it, the
// controller would remove all old pods as soon as the new ones are available,
// before they are proven.
func newReplicaSet(d *appsv1.Deployment, sets []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	hash := templateHash(d.Spec.Template, d.Status.CollisionCount)
	template := *d.Spec.Template.DeepCopy()
	template.Labels = withEntry(template.Labels, hashLabel, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = withEntry(selector.MatchLabels, hashLabel, hash)
	last := 0
	for _, rs := range sets {
		last = max(last, revision(rs))
	}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: replicaSetName(d.Name, hash), Namespace: d.Namespace,
			Labels:      withEntry(template.Labels, generationLabel, strconv.Itoa(nextGeneration(sets))),
			Annotations: map[string]string{revisionAnnotation: strconv.Itoa(last + 1)},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment")),
			},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: new(int32), MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: template,
		},
	}
}

func withEntry(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// templateHash returns the hash by which the Deployment controller names a
// ReplicaSet (k8s.io/kubernetes/pkg/controller.ComputeHash).
func templateHash(t corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(t))
	if collisions != nil {
		b := make([]byte, 8)
		binary.LittleEndian.PutUint32(b, uint32(*collisions))
		h.Write(b)
	}
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}

func replicaSetName(deployment, hash string) string {
	longest := validation.DNS1123SubdomainMaxLength - len(hash) - 1
	return deployment[:min(len(deployment), longest)] + "-" + hash
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
