package manifest

import (
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// controller checks what all objects that keep pods running have in common
// (k8s.io/kubernetes/pkg/apis/apps/validation, 1.37).
func (c *checker) controller(m metav1.ObjectMeta, t *corev1.PodTemplateSpec, selector *metav1.LabelSelector, replicas *int32, minReady int32) {
	spec := path{key("spec")}
	c.meta(m, nil)
	if replicas != nil {
		c.notNegative(spec.with(key("replicas")), int64(*replicas))
	}
	c.notNegative(spec.with(key("minReadySeconds")), int64(minReady))
	if t == nil {
		c.fail(spec.with(key("template")), "", "required")
		return
	}
	c.selector(spec.with(key("selector")), selector, t.Labels)
	at := spec.with(key("template"))
	c.meta(t.ObjectMeta, at)
	c.pod(&t.Spec, at.with(key("spec")), corev1.RestartPolicyAlways)
	if t.Spec.ActiveDeadlineSeconds != nil {
		c.fail(at.with(key("spec"), key("activeDeadlineSeconds")), "", "only for Pods and Jobs")
	}
}

// selector checks that a selector is set and selects the pods of its own
// template. That of a ReplicationController is by default the template's labels.
func (c *checker) selector(at path, s *metav1.LabelSelector, of map[string]string) {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		if c.o.kind != "ReplicationController" {
			c.fail(at, "select the labels of the template", "required")
		} else if len(of) == 0 {
			c.fail(at, "", "required where the template has no labels")
		}
		return
	}
	c.selects(at, s, of)
}

// selects checks that a selector is valid and selects labels.
func (c *checker) selects(at path, s *metav1.LabelSelector, of map[string]string) {
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		c.fail(at, "", "%v", err)
		return
	}
	if !parsed.Matches(labels.Set(of)) {
		c.fail(at, "", "does not select the labels of the template")
	}
}

// strategy checks how the pods of a Deployment are replaced.
func (c *checker) strategy(s *appsv1.DeploymentSpec) {
	spec := path{key("spec")}
	at := spec.with(key("strategy"))
	c.notNegativeIf(spec.with(key("revisionHistoryLimit")), s.RevisionHistoryLimit)
	deadline := int32(600) // a kube-apiserver's default
	if s.ProgressDeadlineSeconds != nil {
		deadline = *s.ProgressDeadlineSeconds
	}
	if deadline <= s.MinReadySeconds {
		c.fail(spec.with(key("progressDeadlineSeconds")), "", "%d is not larger than minReadySeconds, %d", deadline, s.MinReadySeconds)
	}
	oneOf(c, at.with(key("type")), s.Strategy.Type, "", appsv1.RollingUpdateDeploymentStrategyType, appsv1.RecreateDeploymentStrategyType)
	r := s.Strategy.RollingUpdate
	if r == nil {
		return
	}
	if s.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		c.fail(at.with(key("rollingUpdate")), "", "not allowed where type is Recreate")
	}
	at = at.with(key("rollingUpdate"))
	surge := c.amount(at.with(key("maxSurge")), r.MaxSurge, 25)
	down := c.amount(at.with(key("maxUnavailable")), r.MaxUnavailable, 25)
	if surge == 0 && down == 0 {
		c.fail(at.with(key("maxUnavailable")), "let one of the two be 1", "maxSurge and maxUnavailable are both 0: nothing could be replaced")
	}
	c.notMoreThanAll(at.with(key("maxUnavailable")), r.MaxUnavailable)
}

// daemonSet checks how the pods of a DaemonSet are replaced.
func (c *checker) daemonSet(s *appsv1.DaemonSetSpec) {
	spec := path{key("spec")}
	at := spec.with(key("updateStrategy"))
	c.notNegativeIf(spec.with(key("revisionHistoryLimit")), s.RevisionHistoryLimit)
	oneOf(c, at.with(key("type")), s.UpdateStrategy.Type, "", appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType)
	r := s.UpdateStrategy.RollingUpdate
	if r == nil || s.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return
	}
	at = at.with(key("rollingUpdate"))
	surge := c.amount(at.with(key("maxSurge")), r.MaxSurge, 0)
	down := c.amount(at.with(key("maxUnavailable")), r.MaxUnavailable, 1)
	c.notMoreThanAll(at.with(key("maxSurge")), r.MaxSurge)
	c.notMoreThanAll(at.with(key("maxUnavailable")), r.MaxUnavailable)
	switch {
	case surge == 0 && down == 0:
		c.fail(at.with(key("maxUnavailable")), "let one of the two be 1", "maxSurge and maxUnavailable are both 0: nothing could be replaced")
	case surge != 0 && down != 0:
		c.fail(at.with(key("maxSurge")), "write maxUnavailable: 0", "only where maxUnavailable is 0; it is %d", down)
	}
}

// statefulSet checks what only a StatefulSet has.
func (c *checker) statefulSet(s *appsv1.StatefulSetSpec) {
	spec := path{key("spec")}
	oneOf(c, spec.with(key("podManagementPolicy")), s.PodManagementPolicy, "", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)
	if s.ServiceName != "" {
		c.name(spec.with(key("serviceName")), s.ServiceName, validation.IsDNS1123Label(s.ServiceName))
	}
	if s.Ordinals != nil {
		c.notNegative(spec.with(key("ordinals"), key("start")), int64(s.Ordinals.Start))
	}
	if p := s.PersistentVolumeClaimRetentionPolicy; p != nil {
		at := spec.with(key("persistentVolumeClaimRetentionPolicy"))
		oneOf(c, at.with(key("whenDeleted")), p.WhenDeleted, "", appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType)
		oneOf(c, at.with(key("whenScaled")), p.WhenScaled, "", appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType)
	}
	for i := range s.VolumeClaimTemplates {
		at := spec.with(key("volumeClaimTemplates"), item(i))
		if name := s.VolumeClaimTemplates[i].Name; c.require(at.with(key("metadata"), key("name")), name) {
			c.name(at.with(key("metadata"), key("name")), name, validation.IsDNS1123Label(name))
		}
		c.claim(&s.VolumeClaimTemplates[i].Spec, at.with(key("spec")))
	}
	at := spec.with(key("updateStrategy"))
	oneOf(c, at.with(key("type")), s.UpdateStrategy.Type, "", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)
	r := s.UpdateStrategy.RollingUpdate
	if r == nil {
		return
	}
	at = at.with(key("rollingUpdate"))
	if s.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		c.fail(at, "", "not allowed where type is OnDelete")
		return
	}
	c.notNegativeIf(at.with(key("partition")), r.Partition)
	if c.amount(at.with(key("maxUnavailable")), r.MaxUnavailable, 1) == 0 {
		c.fail(at.with(key("maxUnavailable")), "", "must be more than 0")
	}
	c.notMoreThanAll(at.with(key("maxUnavailable")), r.MaxUnavailable)
}

// claim checks what a claim asks for.
func (c *checker) claim(s *corev1.PersistentVolumeClaimSpec, at path) {
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOncePod}
	if len(s.AccessModes) == 0 {
		c.fail(at.with(key("accessModes")), "", "required")
	}
	for i, mode := range s.AccessModes {
		oneOf(c, at.with(key("accessModes"), item(i)), mode, modes...)
	}
	if len(s.AccessModes) > 1 && slices.Contains(s.AccessModes, corev1.ReadWriteOncePod) &&
		slices.ContainsFunc(s.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool { return m != corev1.ReadWriteOncePod }) {
		c.fail(at.with(key("accessModes")), "", "ReadWriteOncePod cannot be combined with other modes")
	}
	storage := at.with(key("resources"), key("requests"), key("storage"))
	if q, ok := s.Resources.Requests[corev1.ResourceStorage]; !ok {
		c.fail(storage, "", "required")
	} else if q.Sign() <= 0 {
		c.fail(storage, "", "%s is not more than 0", q.String())
	}
	if s.StorageClassName != nil && *s.StorageClassName != "" {
		c.name(at.with(key("storageClassName")), *s.StorageClassName, validation.IsDNS1123Subdomain(*s.StorageClassName))
	}
	if s.VolumeMode != nil {
		oneOf(c, at.with(key("volumeMode")), *s.VolumeMode, corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeBlock)
	}
}

// amount checks a number or percentage and returns it without the sign. It is
// otherwise if it is not set or wrong.
func (c *checker) amount(at path, v *intstr.IntOrString, otherwise int) int {
	if v == nil {
		return otherwise
	}
	if v.Type == intstr.Int && v.IntVal >= 0 {
		return int(v.IntVal)
	}
	if v.Type == intstr.String && len(validation.IsValidPercent(v.StrVal)) == 0 {
		if n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%")); err == nil {
			return n
		}
	}
	c.fail(at, "", "%q: want a number or a percentage, 0 or more", v.String())
	return otherwise
}

// notMoreThanAll checks that a percentage is at most 100.
func (c *checker) notMoreThanAll(at path, v *intstr.IntOrString) {
	if v == nil || v.Type != intstr.String {
		return
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%")); err == nil && n > 100 {
		c.fail(at, "", "more than 100%%")
	}
}
