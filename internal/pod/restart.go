package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
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

// restartsAtStart reports whether a container that ended in error while its pod
// starts is restarted, after a number of crashes. One that could not even be started is
// not: the error of the runtime would be the same again.
func restartsAtStart(s *PodSpec, c *corev1.Container, why error, crashes int) bool {
	var exit *ExitError
	var notReady *NotReadyError
	code := int32(1)
	switch {
	case !s.RestartsAtStart:
		return false
	case errors.As(why, &exit):
		code = exit.ExitCode
	case !errors.As(why, &notReady):
		return false
	}
	isMain := slices.ContainsFunc(s.Spec.Containers, func(main corev1.Container) bool { return main.Name == c.Name })
	if isMain && s.Spec.RestartPolicy != corev1.RestartPolicyOnFailure && crashes > 0 {
		return false
	}
	return restarts(s, c, code)
}

// restartAtStart stops what is left of an attempt that ended in error while its pod
// starts, and waits for the back-off. If ctx ends meanwhile, the error names why the
// attempt ended, too.
func (w *worker) restartAtStart(ctx context.Context, ctr *corev1.Container, id string, why error, crashes int) error {
	wait := backOff(crashes)
	w.eventf(ctr.Name, "BackOff", "%v; starting it again in %s", why, wait)
	var notReady *NotReadyError
	if errors.As(why, &notReady) {
		if err := w.stopContainer(ctx, ctr, id, w.rec.Spec.GracePeriod()); err != nil {
			return err
		}
	}
	if clock.Sleep(ctx, wait) != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), why)
	}
	return nil
}
