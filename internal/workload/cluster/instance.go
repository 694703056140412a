package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// fatalCrashes counts as so many crashes that no rollout goes on.
const fatalCrashes = 2

// secondAttempt is the age after which a kubelet has tried twice to do what keeps a
// container from being started; it waits 10 s after the first time.
const secondAttempt = 15 * time.Second

// failedWaiting are the reasons of a container that waits because something failed, with
// whether it can never be different.
var failedWaiting = map[string]bool{
	"ErrImagePull": false, "ImagePullBackOff": false, "RegistryUnavailable": false, "ImageInspectError": false,
	"CreateContainerConfigError": false, "CreateContainerError": false, "RunContainerError": false,
	"InvalidImageName": true, "ErrImageNeverPull": true,
}

// crashes counts how often a pod's containers ended that should run, or could
// not be started, and says why the last did.
func crashes(p *corev1.Pod, now time.Time) (int, string) {
	n, reason := 0, ""
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		times, why := containerCrashes(c, now.Sub(p.CreationTimestamp.Time))
		if n += times; why != "" {
			reason = "container " + c.Name + ": " + why
		}
	}
	return n, reason
}

func containerCrashes(c corev1.ContainerStatus, age time.Duration) (int, string) {
	last := c.LastTerminationState.Terminated
	n := int(c.RestartCount)
	switch wait := c.State.Waiting; {
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		n, last = n+1, c.State.Terminated
	case wait != nil && wait.Reason == "CrashLoopBackOff":
		n++ // the next container, which would be counted, is not there yet
	case wait != nil:
		never, isStuck := failedWaiting[wait.Reason]
		if !isStuck {
			break
		}
		if n++; never || age > secondAttempt {
			n = max(n, fatalCrashes)
		}
		return n, wait.Reason + ": " + wait.Message
	}
	if n == 0 || last == nil {
		return n, ""
	}
	return n, ended(last)
}

// ended says how a container ended: "exit status 2", "OOMKilled, exit status 137".
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

// readiness reports whether a pod is ready, and since when at the latest: the
// API cuts times to seconds, and for a program that crashes soon it matters
// whether it was ready for one second or for none.
func readiness(p *corev1.Pod, now time.Time) (bool, time.Time) {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodReady || c.Status != corev1.ConditionTrue {
			continue
		}
		since, latest := c.LastTransitionTime.Time, c.LastTransitionTime.Add(time.Second)
		switch {
		case since.After(now):
			return true, since // of another clock
		case latest.After(now):
			return true, now
		}
		return true, latest
	}
	return false, time.Time{}
}

// isOver reports whether a pod has ended for good: its ReplicaSet counts it no
// more.
func isOver(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// isSealed reports whether no container that runs can write to its root. Init
// containers that have ended do not run.
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

// costAnnotation tells a ReplicaSet which of its pods to remove first
// (k8s.io/api/core/v1.PodDeletionCost).
const costAnnotation = corev1.PodDeletionCost

// nextRemoved are those of a ReplicaSet's pods that it is about to remove, since it
// has more than it is to have: those that were chosen, then those that are not
// ready, then the youngest.
func nextRemoved(pods []*corev1.Pod, replicas int) []*corev1.Pod {
	excess := len(pods) - replicas
	if excess <= 0 {
		return nil
	}
	rank := func(p *corev1.Pod) int {
		ready, _ := readiness(p, time.Time{})
		switch {
		case p.Annotations[costAnnotation] == lowestCost:
			return 0
		case !ready:
			return 1
		}
		return 2
	}
	sorted := slices.Clone(pods)
	slices.SortStableFunc(sorted, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	return sorted[:excess]
}

// lowestCost is the cost of a pod that was chosen to go.
const lowestCost = "-2147483647"
