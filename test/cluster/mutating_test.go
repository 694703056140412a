//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A serverSealing is a pod that the API server seals by policies.
type serverSealing struct {
	namespace        *enforced
	pod              string
	unsealed, sealed []byte // its manifest, and how seal writes it
	policies         []byte
	run              bool // whether the pod is also run
}

// sealedByServer checks that the API server seals a pod as seal does, in a namespace that
// enforces a level of Pod Security, and leaves a sealed one as it is.
func sealedByServer(ctx context.Context, t *testing.T, s serverSealing) {
	t.Helper()
	applied, err := shared.cluster.ApplyPolicies(ctx, s.policies)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.policies)
	}
	defer func() {
		if err := shared.cluster.DeletePolicies(context.WithoutCancel(ctx), applied); err != nil {
			t.Error(err)
		}
	}()
	var want corev1.Pod
	if err := yaml.Unmarshal(s.sealed, &want); err != nil {
		t.Fatal(err)
	}
	// A policy is in force a moment after it was written.
	got := s.dryRun(ctx, t, s.unsealed)
	for start := time.Now(); !isReadOnly(got) && time.Since(start) < 20*time.Second; time.Sleep(100 * time.Millisecond) {
		got = s.dryRun(ctx, t, s.unsealed)
	}
	for name, pod := range map[string]corev1.Pod{"the pod": got, "the sealed pod": s.dryRun(ctx, t, s.sealed)} {
		inits, wantInits := len(pod.Spec.InitContainers), len(want.Spec.InitContainers)
		if !isReadOnly(pod) || !slices.Equal(mountPaths(pod), mountPaths(want)) || len(volumes(pod)) != len(want.Spec.Volumes) || inits != wantInits {
			t.Errorf("%s has the mounts %q, %d volumes and %d init containers, want %q, %d and %d\n%s", name,
				mountPaths(pod), len(volumes(pod)), inits, mountPaths(want), len(want.Spec.Volumes), wantInits, s.policies)
		}
	}
	if s.run {
		runSealed(ctx, t, s.namespace, s.pod, s.unsealed)
	}
}

// dryRun returns a pod as the API server would create it.
func (s serverSealing) dryRun(ctx context.Context, t *testing.T, manifest []byte) (pod corev1.Pod) {
	t.Helper()
	body, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		t.Fatal(err)
	}
	data, err := shared.cluster.api.call(ctx, http.MethodPost, s.namespace.path+"pods?dryRun=All", body)
	if err == nil {
		err = json.Unmarshal(data, &pod)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, s.policies)
	}
	return pod
}

func isReadOnly(pod corev1.Pod) bool {
	c := pod.Spec.Containers[0].SecurityContext
	return c != nil && c.ReadOnlyRootFilesystem != nil && *c.ReadOnlyRootFilesystem
}

const token = "kube-api-access-" // begins the name of the volume that the API server adds

func mountPaths(pod corev1.Pod) []string {
	var all []string
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		if !strings.HasPrefix(m.Name, token) {
			all = append(all, m.MountPath)
		}
	}
	slices.Sort(all)
	return all
}

func volumes(pod corev1.Pod) []corev1.Volume {
	return slices.DeleteFunc(slices.Clone(pod.Spec.Volumes), func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, token) })
}
