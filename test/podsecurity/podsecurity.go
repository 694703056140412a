// Package podsecurity tells tests which level of the Pod Security Standards a pod
// meets, by the rules of a cluster's own admission.
package podsecurity

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// Level returns the strictest level that a pod meets: "restricted", "baseline" or
// "privileged". why is what the next stricter level forbids.
func Level(t corev1.PodTemplateSpec) (level, why string, err error) {
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return "", "", err
	}
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
		r := policy.AggregateCheckResults(e.EvaluatePod(at, &t.ObjectMeta, &t.Spec))
		if r.Allowed {
			return string(level), why, nil
		}
		why = r.ForbiddenDetail()
	}
	return string(api.LevelPrivileged), why, nil
}
