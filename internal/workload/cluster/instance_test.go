package cluster

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

func TestCrashes(t *testing.T) {
	waits := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "said so"}}
	}
	terminated := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}}
	killed := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for _, test := range []struct {
		name   string
		status corev1.ContainerStatus
		age    time.Duration
		want   int
		why    string
	}{
		{"starts", corev1.ContainerStatus{State: waits("ContainerCreating")}, time.Hour, 0, ""},
		{"runs", corev1.ContainerStatus{State: running}, time.Hour, 0, ""},
		{"ended", corev1.ContainerStatus{State: terminated}, 0, 1, "exit status 2"},
		{"runs again", corev1.ContainerStatus{State: running, RestartCount: 1, LastTerminationState: killed}, 0, 1, "OOMKilled, exit status 137"},
		{"waits to run again", corev1.ContainerStatus{State: waits("CrashLoopBackOff"), RestartCount: 1, LastTerminationState: terminated}, 0, 2, "exit status 2"},
		{"has no image yet", corev1.ContainerStatus{State: waits("ImagePullBackOff")}, time.Second, 1, "ImagePullBackOff: said so"},
		{"still has no image", corev1.ContainerStatus{State: waits("ImagePullBackOff")}, time.Minute, rollout.Fatal, "ImagePullBackOff: said so"},
		{"will have no image", corev1.ContainerStatus{State: waits("ErrImageNeverPull")}, 0, rollout.Fatal, "ErrImageNeverPull: said so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if n, why := containerCrashes(test.status, test.age); n != test.want || why != test.why {
				t.Errorf("got %d, %q: want %d, %q", n, why, test.want, test.why)
			}
		})
	}
}

// TestInitContainersMayFail checks that an init container that waits for
// something, and fails meanwhile, is no crash of its pod. A sidecar's is.
func TestInitContainersMayFail(t *testing.T) {
	status := corev1.ContainerStatus{Name: "setup", RestartCount: 4, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"},
	}}
	p := &corev1.Pod{
		Spec:   corev1.PodSpec{InitContainers: []corev1.Container{{Name: "setup"}}},
		Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{status}},
	}
	if n, why := crashes(p, time.Now()); n != 0 || why != "container setup: exit status 2" {
		t.Errorf("got %d, %q", n, why)
	}
	p.Spec.InitContainers[0].RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	if n, _ := crashes(p, time.Now()); n != 5 {
		t.Errorf("got %d of a sidecar, want 5", n)
	}
}

// TestReadiness covers the seconds to which the API truncates times. Until the
// second in which a pod became ready is over, the pod may have been ready for
// no time.
func TestReadiness(t *testing.T) {
	cut := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
	p := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Time{Time: cut}},
	}}}
	for _, test := range []struct {
		name      string
		now, want time.Duration // after cut
	}{
		{"in that second", 700 * time.Millisecond, 700 * time.Millisecond},
		{"after it", 3 * time.Second, time.Second},
		{"by a clock that is behind", -time.Minute, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			ready, since := readiness(p, cut.Add(test.now))
			if !ready || since.Sub(cut) != test.want {
				t.Errorf("got %v, %s: want %s", ready, since.Sub(cut), test.want)
			}
		})
	}
}

func TestStable(t *testing.T) {
	set := func(n string, available int32) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{revisionAnnotation: n}},
			Status:     appsv1.ReplicaSetStatus{AvailableReplicas: available},
		}
	}
	for _, test := range []struct {
		name string
		last int
		sets []*appsv1.ReplicaSet
		want int
	}{
		{"none", 0, nil, 0},
		{"in the middle of a rollout", 1, []*appsv1.ReplicaSet{set("1", 1), set("2", 3)}, 1},
		{"others rolled out since", 1, []*appsv1.ReplicaSet{set("1", 0), set("2", 1), set("3", 3)}, 3},
		{"nothing serves", 1, []*appsv1.ReplicaSet{set("1", 0)}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := 0
			if rs := stable(test.last, test.sets); rs != nil {
				got = generation(rs)
			}
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestGenerationOutlivesTheRevision checks that a ReplicaSet keeps its
// generation although the Deployment controller raises its revision after a
// rollback.
func TestGenerationOutlivesTheRevision(t *testing.T) {
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Annotations: map[string]string{historyAnnotation: "1,4", revisionAnnotation: "7"},
	}}
	if n, next := generation(rs), nextGeneration([]*appsv1.ReplicaSet{rs}); n != 1 || next != 8 {
		t.Errorf("generation %d, the next is %d: want 1 and 8", n, next)
	}
}
