package rollout

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// FromStatefulSet returns how a StatefulSet is replaced, by its fields and its
// annotations.
func FromStatefulSet(set *appsv1.StatefulSet) (Spec, Policy, error) {
	spec := Spec{
		Replicas: 1, Kind: RollingUpdate, MaxUnavailable: intstr.FromInt32(1),
		MinReady: time.Duration(set.Spec.MinReadySeconds) * time.Second, Deadline: defaultDeadline,
		Ordinals: &Ordinals{Parallel: set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement},
	}
	if set.Spec.Replicas != nil {
		spec.Replicas = int(*set.Spec.Replicas)
	}
	if o := set.Spec.Ordinals; o != nil {
		spec.Ordinals.Start = int(o.Start)
	}
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		spec.Kind = OnDelete
	}
	if r := set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		if r.MaxUnavailable != nil {
			spec.MaxUnavailable = *r.MaxUnavailable
		}
		if r.Partition != nil {
			spec.Ordinals.Partition = int(*r.Partition)
		}
	}
	if v, ok := set.Annotations[AnnotationStrategy]; ok {
		return spec, Policy{}, &AnnotationError{AnnotationStrategy, v, "none: two instances of a StatefulSet cannot have one name; spec.updateStrategy has its strategy, and its partition does what a canary does"}
	}
	policy, err := parseAnnotations(&spec, set.Annotations)
	if err == nil {
		err = spec.Validate()
	}
	return spec, policy, err
}
