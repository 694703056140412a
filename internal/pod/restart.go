package pod

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
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
	switch {
	case policy == string(corev1.RestartPolicyNever):
		return false
	case policy == string(corev1.RestartPolicyOnFailure), isSetup(s, c):
		return code != 0
	}
	return true
}

// isSetup reports whether a container is an init container and no sidecar, so that it
// is meant to end before the others start.
func isSetup(s *PodSpec, c *corev1.Container) bool {
	return !translate.IsSidecar(c) && slices.ContainsFunc(s.Spec.InitContainers, func(i corev1.Container) bool { return i.Name == c.Name })
}
