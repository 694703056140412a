package manifest

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Services returns the Services of the file with a kube-apiserver's defaults,
// and an error for each field that is wrong or not supported on one machine.
// Parse does not check them, because most runners do not use them.
func (f File) Services() ([]corev1.Service, Errors) {
	var list []corev1.Service
	var errs Errors
	for i := range f.objects {
		o := &f.objects[i]
		if o.apiVersion != "v1" || o.kind != "Service" {
			continue
		}
		s, problems := f.service(o)
		list, errs = append(list, s), append(errs, problems...)
	}
	return list, errs.sorted()
}

func (f File) service(o *object) (corev1.Service, Errors) {
	var s corev1.Service
	d := &decoder{file: o.file}
	d.decode(o.node, reflect.ValueOf(&s).Elem())
	if len(d.errs) > 0 {
		return s, d.errs
	}
	defaultService(&s)
	c := &checker{d: d, o: o}
	c.service(&s)
	survey := &surveyor{decoder: decoder{file: o.file}, runner: Declared}
	survey.walk(o.node, reflect.TypeFor[corev1.Service](), "Service")
	return s, append(d.errs, survey.refused...)
}

// defaultService sets the defaults of a kube-apiserver
// (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go, 1.37).
func defaultService(s *corev1.Service) {
	orDefault(&s.Namespace, corev1.NamespaceDefault)
	orDefault(&s.Spec.Type, corev1.ServiceTypeClusterIP)
	orDefault(&s.Spec.SessionAffinity, corev1.ServiceAffinityNone)
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		orDefault(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort.Type == intstr.String && p.TargetPort.StrVal == "" {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

func (c *checker) service(s *corev1.Service) {
	c.meta(s.ObjectMeta, nil)
	spec := path{key("spec")}
	if len(s.Spec.Selector) == 0 {
		c.fail(spec.with(key("selector")), "select the labels of the pods", "required")
	}
	if len(s.Spec.Ports) == 0 {
		c.fail(spec.with(key("ports")), "", "required")
	}
	names, numbers := map[string]bool{}, map[int32]bool{}
	for i, p := range s.Spec.Ports {
		at := spec.with(key("ports"), item(i))
		c.servicePort(at, p)
		if len(s.Spec.Ports) > 1 && p.Name == "" {
			c.fail(at.with(key("name")), "", "required where there are several ports")
		}
		if p.Name != "" && names[p.Name] || numbers[p.Port] {
			c.fail(at, "", "the same name or port twice")
		}
		names[p.Name], numbers[p.Port] = true, true
	}
}

func (c *checker) servicePort(at path, p corev1.ServicePort) {
	if p.Name != "" {
		c.name(at.with(key("name")), p.Name, validation.IsDNS1123Label(p.Name))
	}
	for name, n := range map[string]int32{"port": p.Port, "nodePort": p.NodePort} {
		if n < 0 || n > 65535 || n == 0 && name == "port" {
			c.fail(at.with(key(name)), "", "%d is no port: want 1 to 65535", n)
		}
	}
	if t := p.TargetPort; t.Type == intstr.Int && (t.IntVal < 1 || t.IntVal > 65535) {
		c.fail(at.with(key("targetPort")), "", "%d is no port: want 1 to 65535", t.IntVal)
	}
}
