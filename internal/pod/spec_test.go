package pod

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSpecOf(t *testing.T) {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}},
	}
	in := func(namespace string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: "web"} }
	maps, secrets := []corev1.ConfigMap{{ObjectMeta: in("shop")}}, []corev1.Secret{{ObjectMeta: in("shop")}}
	// Of the same name, in other namespaces.
	allMaps, allSecrets := append([]corev1.ConfigMap{{ObjectMeta: in("")}}, maps...), append([]corev1.Secret{{ObjectMeta: in("bank")}}, secrets...)
	for _, tt := range []struct{ kind, name, workload string }{
		{"StatefulSet", "web-0", "statefulset/web"},
		{"Pod", "web", ""},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			got := SpecOf(Template{Kind: tt.kind, Namespace: "shop", Name: "web", Template: template, ConfigMaps: allMaps, Secrets: allSecrets})
			want := PodSpec{
				Namespace: "shop", Name: tt.name, Workload: tt.workload, Labels: map[string]string{"app": "web"},
				Annotations: map[string]string{"a": "b"}, Spec: template.Spec, ConfigMaps: maps, Secrets: secrets,
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Error(diff)
			}
			got.Labels["app"], got.Spec.Containers[0].Name = "other", "other"
			if template.Labels["app"] != "web" || template.Spec.Containers[0].Name != "main" {
				t.Error("a change to the spec changed the template")
			}
		})
	}
}
