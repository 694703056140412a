package pod

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A PodSpec is the complete description of a pod to run.
type PodSpec = translate.PodSpec

// ServiceVariables adds the environment variables of a Service at an address, for
// PodSpec.ServiceLinks.
func ServiceVariables(out map[string]string, name, address string, ports []corev1.ServicePort) {
	translate.ServiceVariables(out, name, address, ports)
}

// A Template is the pod template of a workload, together with the objects that a pod
// may refer to if they are of its namespace.
type Template struct {
	Kind, Namespace, Name string // of the workload

	Template   corev1.PodTemplateSpec
	ConfigMaps []corev1.ConfigMap
	Secrets    []corev1.Secret
}

// SpecOf returns the spec of a new pod of a workload, named by InstanceName. The
// spec is a deep copy, except for the ConfigMaps and Secrets.
func SpecOf(t Template) PodSpec {
	template := t.Template.DeepCopy()
	s := PodSpec{
		Namespace:   t.Namespace,
		Name:        InstanceName(t.Kind, t.Name),
		Labels:      template.Labels,
		Annotations: template.Annotations,
		Spec:        template.Spec,
		ConfigMaps:  ofNamespace(t.ConfigMaps, t.Namespace),
		Secrets:     ofNamespace(t.Secrets, t.Namespace),
	}
	if t.Kind != "Pod" {
		s.Workload = strings.ToLower(t.Kind) + "/" + t.Name
	}
	return s
}

// ofNamespace returns the objects of a namespace, without those that have the same names
// in others. An object without a namespace is of the default one.
func ofNamespace[T any, P interface {
	*T
	GetNamespace() string
}](list []T, namespace string) []T {
	var found []T
	for i := range list {
		of := P(&list[i]).GetNamespace()
		if cmp.Or(of, metav1.NamespaceDefault) == cmp.Or(namespace, metav1.NamespaceDefault) {
			found = append(found, list[i])
		}
	}
	return found
}
