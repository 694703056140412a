package cluster

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// secondAttempt is the age of a pod after which the kubelet has tried twice to
// start a container; it waits 10 s after the first attempt.
const secondAttempt = 15 * time.Second

// failedWaiting maps the reasons of a container that waits after an error to whether
// the error is permanent.
var failedWaiting = map[string]bool{
	"ErrImagePull": false, "ImagePullBackOff": false, "RegistryUnavailable": false, "ImageInspectError": false,
	"CreateContainerConfigError": false, "CreateContainerError": false, "RunContainerError": false,
	"InvalidImageName": true, "ErrImageNeverPull": true,
}

// crashes returns how often containers of a pod ended that must run, or could
// not be started, and the reason of the last. Init containers that are no sidecars
// may fail until what they wait for is there: only one that can never start counts.
func crashes(p *corev1.Pod, now time.Time) (int, string) {
	n, reason := 0, ""
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		times, why := containerCrashes(c, now.Sub(p.CreationTimestamp.Time))
		if times < rollout.Fatal && isSetup(p, c.Name) {
			times = 0
		}
		if n += times; why != "" {
			reason = "container " + c.Name + ": " + why
		}
	}
	return n, reason
}

// isSetup reports whether a container is an init container and no sidecar.
func isSetup(p *corev1.Pod, name string) bool {
	return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy == nil
	})
}

func containerCrashes(c corev1.ContainerStatus, age time.Duration) (int, string) {
	last := c.LastTerminationState.Terminated
	n := int(c.RestartCount)
	switch wait := c.State.Waiting; {
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		n, last = n+1, c.State.Terminated
	case wait != nil && wait.Reason == "CrashLoopBackOff":
		n++ // RestartCount counts only containers that were started again
	case wait != nil:
		never, isStuck := failedWaiting[wait.Reason]
		if !isStuck {
			break
		}
		if n++; never || age > secondAttempt {
			n = rollout.Fatal
		}
		return n, wait.Reason + ": " + wait.Message
	}
	if n == 0 || last == nil {
		return n, ""
	}
	return n, ended(last)
}

// ended formats how a container ended: "exit status 2", "OOMKilled, exit status
// 137".
func ended(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit status %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" {
		text = t.Reason + ", " + text
	}
	if t.Message != "" {
		text += ": " + t.Message
	}
	return text
}

// readiness reports whether a pod is ready, and the latest time at which it may
// have become so. The API truncates times to seconds, and for a program that
// crashes early it matters whether it was ready for a second or not at all.
func readiness(p *corev1.Pod, now time.Time) (bool, time.Time) {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodReady || c.Status != corev1.ConditionTrue {
			continue
		}
		since, latest := c.LastTransitionTime.Time, c.LastTransitionTime.Add(time.Second)
		switch {
		case since.After(now):
			return true, since // the clocks differ
		case latest.After(now):
			return true, now
		}
		return true, latest
	}
	return false, time.Time{}
}

// isOver reports whether a pod has ended for good, so that its ReplicaSet does
// not count it.
func isOver(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// isSealed reports whether no running container can write to its root. Init
// containers that have ended do not count.
func isSealed(p *corev1.Pod) bool {
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && !isReadOnly(c) {
			return false
		}
	}
	return len(p.Spec.EphemeralContainers) == 0 &&
		!slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return !isReadOnly(c) })
}

func isReadOnly(c corev1.Container) bool {
	s := c.SecurityContext
	return s != nil && s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem
}
