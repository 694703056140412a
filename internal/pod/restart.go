package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// restarts reports whether a container that ended with an exit code is restarted.
// The container's restart policy rules come first, then its restart policy, then
// the pod's.
func restarts(s *PodSpec, c *corev1.Container, code int32) bool {
	for _, rule := range c.RestartPolicyRules {
		if rule.ExitCodes == nil {
			continue
		}
		listed := slices.Contains(rule.ExitCodes.Values, code)
		if listed == (rule.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return true // Restart is the only action for one container
		}
	}
	policy := string(s.Spec.RestartPolicy)
	if c.RestartPolicy != nil {
		policy = string(*c.RestartPolicy)
	}
	switch policy {
	case string(corev1.RestartPolicyNever):
		return false
	case string(corev1.RestartPolicyOnFailure):
		return code != 0
	}
	return true
}
