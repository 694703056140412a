package local

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPublic checks that neither the values of Secrets, ConfigMaps and variables nor lines
// of logs are part of what those may see who may only read.
func TestPublic(t *testing.T) {
	const secret = "hunter2"
	crash := "container web ended with exit code 1\n  | cannot log in as " + secret + "\n  | giving up " + secret
	s := Status{Reason: crash, Instances: []InstanceStatus{{Name: "web-1", Message: crash}}}
	h := History{
		Generations: []Generation{{
			Number: 1, Images: []PinnedImage{{For: "container web", Image: "web:1"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": secret}},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "web", Image: "web:1", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: secret}}, Args: []string{"--password", secret},
				}}},
			},
			ConfigMaps: []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"a": secret}}},
			Secrets: []corev1.Secret{{
				ObjectMeta: metav1.ObjectMeta{Name: "login", Annotations: map[string]string{"last-applied": secret}}, Data: map[string][]byte{"a": []byte(secret)},
			}},
		}},
		Rollouts: []Attempt{{Number: 1, Reason: crash}},
		Events:   []Event{{Reason: "Failed", Message: crash}, {Reason: "Failed", Message: "gate: password=" + secret + secret}},
	}
	data, err := json.Marshal([]any{s.Public(), h.Public()})
	must(t, err)
	text := string(data)
	if strings.Contains(text, secret) || strings.Contains(text, "aHVudGVyMg") {
		t.Errorf("the secret is public: %s", text)
	}
	for _, want := range []string{"container web ended with exit code 1", `"app":"web"`, "web:1", "settings", "login"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if !strings.Contains(s.Instances[0].Message+h.Events[0].Message+h.Rollouts[0].Reason, secret) || h.Generations[0].Template.Spec.Containers[0].Args == nil {
		t.Error("the original was changed")
	}
}
