package pod

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// testPod returns a pod of one container that sleeps.
func testPod(t *testing.T, command ...string) PodSpec {
	t.Helper()
	if len(command) == 0 {
		command = []string{"sleep"}
	}
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return PodSpec{
		Name: name,
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64),
			Containers:                    []corev1.Container{testContainer("main", command...)},
		},
	}
}

func testContainer(name string, command ...string) corev1.Container {
	return corev1.Container{Name: name, Image: testImage, Command: append([]string{"/prog"}, command...), ImagePullPolicy: corev1.PullIfNotPresent}
}

// create creates a pod. It is removed at the end of the test.
func create(t *testing.T, e *Engine, s PodSpec) *Pod {
	t.Helper()
	p, err := e.Create(t.Context(), s, func(ev Event) { t.Logf("%s: %s", ev.Reason, ev.Message) })
	if err != nil {
		t.Fatal(err)
	}
	removeAtEnd(t, e, p)
	return p
}

// prepare creates a pod without starting its containers. It is removed at the end of
// the test.
func prepare(t *testing.T, e *Engine, s PodSpec) *Pod {
	t.Helper()
	p, err := e.Prepare(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	removeAtEnd(t, e, p)
	return p
}

func removeAtEnd(t *testing.T, e *Engine, p *Pod) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Remove(ctx, 0, nil); err != nil {
			t.Error(err)
		}
		if left, err := e.Find(ctx, p.UID); err == nil {
			t.Errorf("pod %s is still there: %s", left.Name, left.Phase)
		}
	})
}

// run runs a verb of prog in the pod and returns its stdout and stderr.
func run(t *testing.T, p *Pod, verb ...string) string {
	t.Helper()
	res, err := p.ExecSync(t.Context(), "", append([]string{"/prog"}, verb...), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return string(res.Stdout) + string(res.Stderr)
}

func TestPodWithEmptyDir(t *testing.T) {
	e := openTest(t)
	s := testPod(t)
	s.Spec.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	s.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "cache", MountPath: "/var/cache/app"}}
	s.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
	p := create(t, e, s)

	if got := run(t, p, "touch", "/var/cache/app/x"); got != "" {
		t.Errorf("write to the volume: %s", got)
	}
	if got := run(t, p, "touch", "/etc/x"); !strings.Contains(got, "read-only file system") {
		t.Errorf("write to the root: got %q, want a refusal", got)
	}
	if got, want := run(t, p, "stat", "/var/cache/app"), "/var/cache/app 40777 0:0 \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
