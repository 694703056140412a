package manifest

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// strategy checks how a Deployment is replaced, as a kube-apiserver does
// (k8s.io/kubernetes/pkg/apis/apps/validation, 1.37).
func (c *checker) strategy(s *appsv1.DeploymentSpec) {
	spec := path{key("spec")}
	at := spec.with(key("strategy"))
	c.notNegative(spec.with(key("minReadySeconds")), int64(s.MinReadySeconds))
	if s.RevisionHistoryLimit != nil {
		c.notNegative(spec.with(key("revisionHistoryLimit")), int64(*s.RevisionHistoryLimit))
	}
	if d := s.ProgressDeadlineSeconds; d != nil && *d <= s.MinReadySeconds {
		c.fail(spec.with(key("progressDeadlineSeconds")), "", "%d is not larger than minReadySeconds, %d", *d, s.MinReadySeconds)
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
	surge := c.amount(at.with(key("maxSurge")), r.MaxSurge)
	down := c.amount(at.with(key("maxUnavailable")), r.MaxUnavailable)
	if surge == 0 && down == 0 {
		c.fail(at.with(key("maxUnavailable")), "let one of the two be 1", "maxSurge and maxUnavailable are both 0: nothing could be replaced")
	}
	if down > 100 && r.MaxUnavailable.Type == intstr.String {
		c.fail(at.with(key("maxUnavailable")), "", "more than 100%%")
	}
}

// amount checks a number or percentage and returns its value for a hundred
// replicas, or 25 if it is not set.
func (c *checker) amount(at path, v *intstr.IntOrString) int {
	if v == nil {
		return 25
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, 100, true)
	if err != nil || n < 0 {
		c.fail(at, "", "%q: want a number or a percentage, 0 or more", v.String())
		return 25
	}
	return n
}
