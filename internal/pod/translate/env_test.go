package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "plain text", "plain text"},
		{"reference", "x$(A)y", "x1y"},
		{"twice", "$(A)$(A)", "11"},
		{"not again", "$(B)", "$(A)"},
		{"empty value", "[$(EMPTY)]", "[]"},
		{"unknown stays", "$(NO) $(A)", "$(NO) 1"},
		{"escaped", "$$(A)", "$(A)"},
		{"escaped twice", "$$$(A)", "$1"},
		{"unfinished", "$(A", "$(A"},
		{"dollar at the end", "A$", "A$"},
		{"shell's own", "$A ${A}", "$A ${A}"},
		{"empty name", "$()", "$()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := expand(tt.in, mapLookup(env)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$(A) $$(B) $(C $")
	f.Fuzz(func(t *testing.T, s string) {
		got := expand(s, func(string) (string, bool) { return "", false })
		if !strings.Contains(s, "$$") && got != s {
			t.Errorf("without a known name %q became %q", s, got)
		}
	})
}

// envSpec returns a pod with a value for every source of a variable.
func envSpec(c corev1.Container) *PodSpec {
	return &PodSpec{
		Namespace: "shop", Name: "web-0",
		Labels:      map[string]string{"app": "web", "tier": "a\"b"},
		Annotations: map[string]string{"note": "hi"},
		ConfigMaps: []corev1.ConfigMap{{
			ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"A": "from map", "B": "b"},
		}},
		Secrets: []corev1.Secret{{
			ObjectMeta: metav1.ObjectMeta{Name: "keys"}, Data: map[string][]byte{"KEY": []byte("k")}, StringData: map[string]string{"TEXT": "t"},
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{c}},
	}
}

var testFacts = Facts{
	Layout: Layout{UID: "u-1"},
	PodIPs: []string{"10.0.0.2", "fd00::2"},
	Node:   Node{Name: "box", IPs: []string{"192.0.2.7"}, CPUs: 2, Memory: 4 << 30, Storage: 10 << 30},
}

func field(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}

func resourceField(name, divisor string) *corev1.EnvVarSource {
	r := &corev1.ResourceFieldSelector{Resource: name}
	if divisor != "" {
		r.Divisor = resource.MustParse(divisor)
	}
	return &corev1.EnvVarSource{ResourceFieldRef: r}
}

func mapKey(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
}

func secretKey(name, key string, optional bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: &optional}}
}

func TestBuildEnv(t *testing.T) {
	limits := corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("64Mi")}
	c := corev1.Container{
		Resources: corev1.ResourceRequirements{Limits: limits},
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "CM_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}}},
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
		},
		Env: []corev1.EnvVar{
			{Name: "PLAIN", Value: "x"},
			{Name: "REF", Value: "$(PLAIN)-$(CM_A)-$(LATER)"},
			{Name: "LATER", Value: "l"},
			{Name: "KEY", Value: "replaced"},
			{Name: "MAP", ValueFrom: mapKey("settings", "B", false)},
			{Name: "GONE", ValueFrom: mapKey("settings", "none", true)},
			{Name: "SECRET", ValueFrom: secretKey("keys", "TEXT", false)},
			{Name: "POD", ValueFrom: field("metadata.name")},
			{Name: "UID", ValueFrom: field("metadata.uid")},
			{Name: "LABEL", ValueFrom: field("metadata.labels['app']")},
			{Name: "IPS", ValueFrom: field("status.podIPs")},
			{Name: "NODE", ValueFrom: field("spec.nodeName")},
			{Name: "ACCOUNT", ValueFrom: field("spec.serviceAccountName")},
			{Name: "CPU", ValueFrom: resourceField("limits.cpu", "")},
			{Name: "MILLI", ValueFrom: resourceField("limits.cpu", "1m")},
			{Name: "MEMORY", ValueFrom: resourceField("limits.memory", "1Mi")},
			{Name: "STORAGE", ValueFrom: resourceField("limits.ephemeral-storage", "1Gi")},
		},
	}
	got, err := buildEnv(envSpec(c), testFacts, &c)
	if err != nil {
		t.Fatal(err)
	}
	want := []variable{
		{"CM_A", "from map"}, {"CM_B", "b"}, {"KEY", "replaced"}, {"TEXT", "t"},
		{"PLAIN", "x"}, {"REF", "x-from map-$(LATER)"}, {"LATER", "l"}, {"MAP", "b"}, {"SECRET", "t"},
		{"POD", "web-0"}, {"UID", "u-1"}, {"LABEL", "web"}, {"IPS", "10.0.0.2,fd00::2"}, {"NODE", "box"},
		{"ACCOUNT", "default"}, {"CPU", "2"}, {"MILLI", "1500"}, {"MEMORY", "64"}, {"STORAGE", "10"},
	}
	if diff := cmp.Diff(got.list(), want, cmp.AllowUnexported(variable{})); diff != "" {
		t.Error(diff)
	}
}

func TestBuildEnvErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  corev1.EnvVar
		want string
	}{
		{"no such ConfigMap", corev1.EnvVar{Name: "A", ValueFrom: mapKey("none", "k", false)}, `A: ConfigMap "none" is not in the manifest`},
		{"no such key", corev1.EnvVar{Name: "A", ValueFrom: secretKey("keys", "none", false)}, `A: Secret key "keys/none" is not in`},
		{"no such field", corev1.EnvVar{Name: "A", ValueFrom: field("spec.containers")}, "spec.containers is not one"},
		{"name", corev1.EnvVar{Name: "A=B", Value: "x"}, "has '=' in it"},
		{"value", corev1.EnvVar{Name: "A", Value: "x\x00y"}, "zero byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := corev1.Container{Env: []corev1.EnvVar{tt.env}}
			if _, err := buildEnv(envSpec(c), testFacts, &c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFormatMap(t *testing.T) {
	got := formatMap(envSpec(corev1.Container{}).Labels)
	if want := "app=\"web\"\ntier=\"a\\\"b\""; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
