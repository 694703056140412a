package admission

import (
	"bytes"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

const digest0 = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// sealedPod returns a pod with two volumes. An init container fills the first one.
func sealedPod() corev1.PodSpec {
	root, limit := int64(0), resource.MustParse("1Gi")
	return corev1.PodSpec{
		InitContainers: []corev1.Container{{
			Name: "adamant-copy-up", Command: []string{"sh", "-c", `echo "$1"`, "adamant-copy-up", "/run/", "/volumes/run/run", "0755", "", ""},
			SecurityContext: &corev1.SecurityContext{RunAsUser: &root},
			VolumeMounts:    []corev1.VolumeMount{{Name: "run", MountPath: "/volumes/run"}},
		}},
		Containers: []corev1.Container{{Name: "a", VolumeMounts: []corev1.VolumeMount{
			{Name: "run", MountPath: "/run", SubPath: "run"}, {Name: strings.Repeat("v", 63), MountPath: "/tmp"},
		}}},
		Volumes: []corev1.Volume{
			{Name: "run", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: strings.Repeat("v", 63), VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "Memory", SizeLimit: &limit}}},
		},
	}
}

// TestMutating checks the parts of a policy that its verdict depends on; test/cluster has an
// API server evaluate it.
func TestMutating(t *testing.T) {
	uid := uint32(7)
	s := Sealed{Digests: []string{digest0}, References: []string{"i:1"}, Container: "a", Command: &Command{Command: []string{"run"}}, UID: &uid, Pod: sealedPod()}
	objects, err := MutatingPolicies(Options{Sealed: []Sealed{s}})
	if err != nil || len(objects) != 2 {
		t.Fatalf("got %v, %v", objects, err)
	}
	var b bytes.Buffer
	if err := Write(&b, MutatingLimits, objects); err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(b.String(), "\n---\n")
	var p v1.MutatingAdmissionPolicy
	var binding v1.MutatingAdmissionPolicyBinding
	if err := yaml.UnmarshalStrict([]byte(first), &p); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(second), &binding); err != nil || binding.Spec.PolicyName != p.Name || binding.Name != p.Name || !strings.HasSuffix(p.Name, suffix) {
		t.Errorf("got the binding %+v of %s, %v", binding, p.Name, err)
	}
	if *p.Spec.FailurePolicy != v1.Fail {
		t.Errorf("got the failure policy %s", *p.Spec.FailurePolicy)
	}
	match, patch := p.Spec.MatchConditions[1].Expression, p.Spec.Mutations[0].JSONPatch.Expression+p.Spec.Mutations[1].ApplyConfiguration.Expression
	for _, want := range []string{`c.image.endsWith("@` + digest0 + `") || c.image in ["i:1"]`, `c.name == "a"`, `.orValue([]) == ["run"]`, `.orValue([]) == []`, "in [-1, 7]", "runAsNonRoot"} {
		if !strings.Contains(match, want) {
			t.Errorf("the condition has no %s:\n%s", want, match)
		}
	}
	for _, want := range []string{
		"readOnlyRootFilesystem: true", `"/volumes/run/run"`, "runAsUser: 0", `medium: "Memory", sizeLimit: "1Gi"`, `"echo \"$1\""`, "/spec/initContainers/-",
	} {
		if !strings.Contains(patch, want) {
			t.Errorf("the patch has no %s:\n%s", want, patch)
		}
	}
}

func TestMutatingRefuses(t *testing.T) {
	for name, change := range map[string]func(*Sealed){
		"no image":        func(s *Sealed) { s.Digests = nil },
		"no digest":       func(s *Sealed) { s.Digests = append(s.Digests, "sha256:zz") },
		"no container":    func(s *Sealed) { s.Pod.Containers = nil },
		"a claim":         func(s *Sealed) { s.Pod.Volumes = s.Pod.Volumes[:1] },
		"nothing fills":   func(s *Sealed) { s.Pod.InitContainers[0].Command = s.Pod.InitContainers[0].Command[:3] },
		"another command": func(s *Sealed) { s.Pod.InitContainers[0].Command[5] = "/other" },
	} {
		s := Sealed{Digests: []string{digest0}, Container: "a", Pod: sealedPod()}
		change(&s)
		if objects, err := MutatingPolicies(Options{Sealed: []Sealed{s}}); err == nil || !strings.Contains(err.Error(), "container a: ") {
			t.Errorf("%s: got %v, %v", name, objects, err)
		}
	}
}

func TestTwoProfilesOfOneContainer(t *testing.T) {
	s := Sealed{Digests: []string{digest0}, Container: "a", Pod: sealedPod()}
	if _, err := MutatingPolicies(Options{Sealed: []Sealed{s, s}}); err == nil || !strings.Contains(err.Error(), "two profiles") {
		t.Errorf("got %v", err)
	}
}

// TestNamesOfPolicies checks that policies for other containers have other names.
func TestNamesOfPolicies(t *testing.T) {
	seen := map[string]string{}
	for name, s := range map[string]Sealed{
		"a digest":      {Digests: []string{digest0}, Container: "a", Pod: sealedPod()},
		"another":       {Digests: []string{strings.Replace(digest0, "0", "1", 1)}, Container: "a", Pod: sealedPod()},
		"a command":     {Digests: []string{digest0}, Container: "a", Command: &Command{Command: []string{"run"}}, Pod: sealedPod()},
		"arguments":     {Digests: []string{digest0}, Container: "a", Command: &Command{Args: []string{"run"}}, Pod: sealedPod()},
		"a long name":   {Digests: []string{digest0}, Container: strings.Repeat("a", 63), Pod: sealedPod()},
		"any container": {Digests: []string{digest0}, References: []string{"i"}, Container: "a", Pod: sealedPod()},
	} {
		objects, err := MutatingPolicies(Options{Sealed: []Sealed{s}})
		if err != nil {
			t.Fatal(err)
		}
		got := objects[0].Metadata.Name
		if other := seen[got]; other != "" || len(got) > 63 {
			t.Errorf("%s and %s have the name %s", name, other, got)
		}
		seen[got] = name
	}
}
