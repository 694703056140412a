package local

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// addPullSecrets adds the imagePullSecrets of a pod to its Secrets, as they are now. The
// engine does not store them with the pod.
func (c *Controller) addPullSecrets(s *pod.PodSpec) error {
	missing := pod.MissingPullSecrets(s)
	if len(missing) == 0 {
		return nil
	}
	s.Secrets = slices.Clone(s.Secrets)
	return c.store.view(func(t tx) error {
		for _, name := range missing {
			secret, ok, err := get[corev1.Secret](t, "secrets", s.Namespace+"/"+name)
			if err != nil {
				return err
			}
			if ok {
				s.Secrets = append(s.Secrets, secret)
			}
		}
		return nil
	})
}
