package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestDefaults(t *testing.T) {
	f, err := Parse("x", []byte(pod(
		"ports: [{containerPort: 80}]",
		"readinessProbe: {httpGet: {port: 80}}",
		"livenessProbe: {grpc: {port: 80}}",
		"resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}",
		"env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
	)+"  hostNetwork: true\n  serviceAccount: old\n  volumes:\n  - name: a\n  - {name: b, configMap: {name: c}}\n  - {name: c, projected: {sources: []}}\n  - {name: d, hostPath: {path: /a}}\n  - {name: e, image: {reference: a/b}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Workloads()[0].Template.Spec
	c := s.Containers[0]
	got := []any{
		s.RestartPolicy, s.DNSPolicy, *s.TerminationGracePeriodSeconds, *s.EnableServiceLinks, s.ServiceAccountName,
		c.ImagePullPolicy, c.TerminationMessagePath, c.TerminationMessagePolicy, c.Ports[0].Protocol, c.Ports[0].HostPort,
		c.ReadinessProbe.TimeoutSeconds, c.ReadinessProbe.PeriodSeconds, c.ReadinessProbe.SuccessThreshold, c.ReadinessProbe.FailureThreshold,
		c.ReadinessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Scheme, *c.LivenessProbe.GRPC.Service,
		c.Resources.Requests.Cpu().String(), c.Resources.Requests.Memory().String(), c.Env[0].ValueFrom.FieldRef.APIVersion,
		s.Volumes[0].EmptyDir != nil, *s.Volumes[1].ConfigMap.DefaultMode, *s.Volumes[2].Projected.DefaultMode, *s.Volumes[3].HostPath.Type, s.Volumes[4].Image.PullPolicy,
	}
	want := []any{
		corev1.RestartPolicyAlways, corev1.DNSClusterFirst, int64(30), true, "old",
		corev1.PullAlways, "/dev/termination-log", corev1.TerminationMessageReadFile, corev1.ProtocolTCP, int32(80),
		int32(1), int32(10), int32(1), int32(3),
		"/", corev1.URISchemeHTTP, "",
		"500m", "1Gi", "v1",
		true, int32(0o644), int32(0o644), corev1.HostPathUnset, corev1.PullAlways,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestPullPolicy(t *testing.T) {
	for image, want := range map[string]corev1.PullPolicy{
		"nginx": corev1.PullAlways, "nginx:latest": corev1.PullAlways, "nginx:1": corev1.PullIfNotPresent,
		"host:5000/nginx": corev1.PullAlways, "host:5000/nginx:1": corev1.PullIfNotPresent,
		"nginx@sha256:abc": corev1.PullIfNotPresent, "nginx:1@sha256:abc": corev1.PullIfNotPresent, "nginx:latest@sha256:abc": corev1.PullAlways,
	} {
		if got := pullPolicy(image); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

func TestJobDefaults(t *testing.T) {
	f, err := Parse("x", []byte("apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Workloads()[0].Object.(*batchv1.Job).Spec
	if *s.BackoffLimit != 6 || *s.Completions != 1 || *s.Parallelism != 1 {
		t.Errorf("got %+v", s)
	}
}
